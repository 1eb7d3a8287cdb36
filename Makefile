.PHONY: fmt lint test doc bench instructions miri models mutants ci
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
	cargo bench -p cogniverse-embedded --bench analysis
	cargo bench -p cogniverse-otlp --bench span
	cargo bench -p cogniverse-vespa --bench client
# Needs valgrind. Renew the table: make instructions WRITE=1
instructions:
	python3 .ci/instructions.py $(if $(WRITE),--write)
# The plain kernels in Miri: those tests that end in a minute. It installs a nightly toolchain of 700 MB.
miri:
	rustup toolchain install nightly-2026-10-30 --profile minimal -c miri -c rust-src --no-self-update
	MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly-2026-10-30 miri test -q -p cogniverse-embedded --lib -- --exact \
		kernel::tests::hand_computed kernel::tests::invariant_25_what_does_not_fit_scores_nothing \
		kernel::tests::codes::codes_of_whole_numbers_are_exact_but_for_rounding \
		kernel::tests::codes::invariant_25_codes_that_do_not_fit_score_nothing
models:
	bash .ci/models.sh "$${COGNIVERSE_MINILM_DIR}"
# cargo install cargo-mutants; hours for all of it. Rooms and tests: .cargo/mutants.toml. One room: make mutants ROOM=core/src/tenants
mutants:
	cargo mutants --workspace $(if $(ROOM),--re '$(ROOM)')
ci:
	bash .ci/run
