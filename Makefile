.PHONY: fmt lint test doc bench instructions models mutants ci
fmt:
	cargo fmt --all
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
test:
	cargo test --workspace
doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
bench:
	cargo bench --bench search_path
	cargo bench -p cogniverse-embedded --bench kernels
	cargo bench -p cogniverse-otlp --bench span
	cargo bench -p cogniverse-vespa --bench client
# Needs valgrind. Renew the table: make instructions WRITE=1
instructions:
	python3 .ci/instructions.py $(if $(WRITE),--write)
models:
	bash .ci/models.sh "$${COGNIVERSE_MINILM_DIR}"
# cargo install cargo-mutants; hours for all of it. Rooms and tests: .cargo/mutants.toml. One room: make mutants ROOM=core/src/tenants
mutants:
	cargo mutants --workspace $(if $(ROOM),--re '$(ROOM)')
ci:
	bash .ci/run
