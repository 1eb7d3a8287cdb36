//! The stable machine code of an error: one table of kind, HTTP status, whether it passes, and the text for customers.

use super::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Whether a condition can end without anyone changing the request, the data or the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// It can: a client may send the same request again, after backing off.
    Passing,
    /// It cannot.
    Lasting,
}

macro_rules! error_codes {
    ($( $(#[$doc:meta])+ $name:ident = $text:literal: $kind:ident, $status:literal, $lasts:ident, $message:literal; )+) => {
        /// The stable machine code of an error.
        ///
        /// A code never changes its text, its kind or its meaning; new ones may be added. `docs/errors.md` lists all of
        /// them with what an operator does about each. Serialized as its text, such as `"tenant_suspended"`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $( $(#[$doc])+ $name, )+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$( Self::$name, )+];

            fn row(self) -> (&'static str, ErrorKind, u16, Lasts, &'static str) {
                match self {
                    $( Self::$name => ($text, ErrorKind::$kind, $status, Lasts::$lasts, $message), )+
                }
            }
        }
    };
}

// First the code of each kind, for errors that nobody gave another.
error_codes! {
    /// Something that the request names does not exist.
    NotFound = "not_found": NotFound, 404, Lasting, "The requested item does not exist.";
    /// The request is wrong in itself.
    InvalidInput = "invalid_input": InvalidInput, 400, Lasting, "The request is not valid.";
    /// Another writer or owner is in the way.
    Conflict = "conflict": Conflict, 409, Lasting, "The request conflicts with another change.";
    /// A thing is not in the state that the call needs.
    FailedPrecondition = "failed_precondition": FailedPrecondition, 409, Lasting,
        "The request cannot be carried out in the current state.";
    /// The implementation cannot do this.
    Unsupported = "unsupported": Unsupported, 501, Lasting, "This service does not support the request.";
    /// The caller is not known.
    Unauthenticated = "unauthenticated": Unauthenticated, 401, Lasting, "Authentication is required.";
    /// The caller may not do this.
    PermissionDenied = "permission_denied": PermissionDenied, 403, Lasting, "This request is not permitted.";
    /// Too many calls at once or in a window of time, or a queue is full.
    RateLimited = "rate_limited": RateLimited, 429, Passing, "Too many requests. Try again later.";
    /// A quota that waiting a moment does not refill is used up.
    QuotaExceeded = "quota_exceeded": QuotaExceeded, 403, Lasting, "A limit of this account is reached.";
    /// The deadline passed.
    Timeout = "timeout": Timeout, 504, Passing, "The request took too long. Try again later.";
    /// A server, a disk or a file could not be used.
    Unavailable = "unavailable": Unavailable, 503, Passing, "The service is temporarily unavailable. Try again later.";
    /// Stored bytes are damaged.
    Corrupt = "corrupt": Corrupt, 500, Lasting, "The service cannot read its data.";
    /// A bug.
    Unexpected = "unexpected": Unexpected, 500, Lasting, "The service failed unexpectedly.";

    /// No tenant has this id.
    TenantUnknown = "tenant_unknown": NotFound, 404, Lasting, "This account does not exist.";
    /// A tenant of this id exists already.
    TenantExists = "tenant_exists": Conflict, 409, Lasting, "An account of this name exists already.";
    /// The tenant is suspended.
    TenantSuspended = "tenant_suspended": FailedPrecondition, 403, Lasting, "This account is suspended.";
    /// A tenant cannot move from its state to the one asked for.
    TenantStateMismatch = "tenant_state_mismatch": FailedPrecondition, 409, Lasting,
        "This account is not in the state that the request needs.";

    /// The tenant's creation is not finished.
    TenantNotReady = "tenant_not_ready": FailedPrecondition, 503, Passing, "This account is being set up.";
    /// The tenant is being erased.
    TenantErasing = "tenant_erasing": FailedPrecondition, 410, Lasting, "This account is being removed.";
    /// Another call is erasing the tenant.
    ErasureRunning = "erasure_running": Conflict, 409, Passing, "This account is being removed by another request.";
    /// A handle or a grant belongs to an earlier tenant of the same id.
    TenantGenerationChanged = "tenant_generation_changed": FailedPrecondition, 409, Lasting,
        "The request belongs to an earlier account of this name.";

    /// No base schema has this name.
    SchemaUnknown = "schema_unknown": NotFound, 404, Lasting, "This kind of video library does not exist.";
    /// The tenant does not have this schema deployed.
    SchemaNotDeployed = "schema_not_deployed": NotFound, 404, Lasting,
        "This video library is not set up for this account.";
    /// The deployed schema holds documents of another form.
    SchemaDiffers = "schema_differs": FailedPrecondition, 409, Lasting,
        "This video library is set up in another form.";
    /// Another schema, or another tenant's schema, has this name.
    SchemaNameTaken = "schema_name_taken": Conflict, 409, Lasting, "This name is taken.";
    /// No profile has this name.
    ProfileUnknown = "profile_unknown": NotFound, 404, Lasting, "This search profile does not exist.";
    /// The schema has no strategy of this name.
    StrategyUnknown = "strategy_unknown": NotFound, 404, Lasting, "This search strategy does not exist.";
    /// No document has this id.
    DocumentUnknown = "document_unknown": NotFound, 404, Lasting, "This document does not exist.";
    /// No video of the profile has this id.
    VideoUnknown = "video_unknown": NotFound, 404, Lasting, "This video does not exist.";
    /// No ingest job has this id.
    JobUnknown = "job_unknown": NotFound, 404, Lasting, "This job does not exist.";

    /// A name or an id is malformed.
    NameInvalid = "name_invalid": InvalidInput, 400, Lasting, "A name or an id in the request is malformed.";
    /// A filter is malformed, or names a field that cannot be filtered by.
    FilterInvalid = "filter_invalid": InvalidInput, 400, Lasting, "The filter is not valid.";
    /// A metadata value is not of its declared type, or a name is not declared.
    MetadataInvalid = "metadata_invalid": InvalidInput, 400, Lasting, "The metadata is not valid.";
    /// A page cursor cannot be read.
    PageCursorInvalid = "page_cursor_invalid": InvalidInput, 400, Lasting,
        "The page cursor is not valid. Start again without it.";
    /// A page cursor belongs to another request or another tenant.
    PageCursorOtherRequest = "page_cursor_other_request": InvalidInput, 400, Lasting,
        "The page cursor belongs to another request. Start again without it.";

    /// The search needs query vectors and the profile has no encoder.
    EncoderMissing = "encoder_missing": FailedPrecondition, 501, Lasting,
        "This kind of search is not set up here. Search by words.";
    /// The profile names an encoder that is not registered.
    EncoderUnknown = "encoder_unknown": NotFound, 501, Lasting, "This kind of search is not set up here.";
    /// The encoder's vectors do not fit the schema or the strategy.
    EncoderMismatch = "encoder_mismatch": InvalidInput, 501, Lasting, "This kind of search is not set up correctly.";
    /// An encoder made vectors of another shape than it promised.
    EncoderFailed = "encoder_failed": Unexpected, 502, Lasting, "A model behind this service gave a wrong answer.";
    /// No stored segment has vectors that the query can be compared with.
    SegmentsWithoutVectors = "segments_without_vectors": FailedPrecondition, 409, Lasting,
        "The stored videos are not prepared for this kind of search. Search by words.";
    /// `ffmpeg` or `ffprobe` is not installed.
    FfmpegMissing = "ffmpeg_missing": FailedPrecondition, 501, Lasting, "Video processing is not set up here.";
    /// The speech-to-text program is not installed.
    TranscriberMissing = "transcriber_missing": FailedPrecondition, 501, Lasting, "Speech recognition is not set up here.";
    /// No frame describer is registered, or its program is not installed.
    FrameDescriberMissing = "frame_describer_missing": FailedPrecondition, 501, Lasting,
        "Description of pictures is not set up here.";
    /// No screen reader is registered, or its program is not installed.
    ScreenReaderMissing = "screen_reader_missing": FailedPrecondition, 501, Lasting,
        "Reading of text on screen is not set up here.";
    /// The call needs a language model and none is configured.
    LanguageModelMissing = "language_model_missing": FailedPrecondition, 501, Lasting,
        "No language model is set up here.";
    /// The tenant's configuration names a language model that no provider serves.
    LanguageModelUnknown = "language_model_unknown": FailedPrecondition, 501, Lasting,
        "The language model of this account is not set up here.";
    /// The call needs memories and no text embedder is configured.
    TextEmbedderMissing = "text_embedder_missing": FailedPrecondition, 501, Lasting, "Memories are not set up here.";

    /// No memory of the scope has this id.
    MemoryUnknown = "memory_unknown": NotFound, 404, Lasting, "This memory does not exist.";
    /// The memory is expired.
    MemoryExpired = "memory_expired": FailedPrecondition, 409, Lasting, "This memory is expired.";
    /// Another memory of the scope has this text.
    MemoryDuplicate = "memory_duplicate": Conflict, 409, Lasting, "Another memory has this text already.";
    /// The tenant's memories were embedded by another model.
    MemoryModelChanged = "memory_model_changed": FailedPrecondition, 503, Lasting,
        "The memories of this account are not available.";
    /// Another run is re-embedding the tenant's memories.
    ReembeddingRunning = "reembedding_running": Conflict, 409, Passing,
        "The memories of this account are being updated. Try again later.";
    /// Re-embedding of the tenant's memories was begun and not ended.
    ReembeddingUnfinished = "reembedding_unfinished": FailedPrecondition, 503, Passing,
        "The memories of this account are being updated. Try again later.";

    /// Another process optimizes the tenant's routing.
    OptimizationRunning = "optimization_running": Conflict, 409, Passing,
        "The search of this account is being optimized. Try again later.";

    /// No project or span of traces has this name.
    TraceUnknown = "trace_unknown": NotFound, 404, Lasting, "There is no such trace. New ones appear after a moment.";

    /// A configuration value was changed by someone else.
    ConfigConflict = "config_conflict": Conflict, 409, Lasting,
        "The configuration was changed by someone else. Read it again and repeat the change.";
    /// The tenant has a system configuration already.
    ConfigExists = "config_exists": Conflict, 409, Lasting, "This account has a configuration already.";
    /// The configuration key holds no value.
    ConfigKeyUnknown = "config_key_unknown": NotFound, 404, Lasting, "This configuration value does not exist.";
    /// The configuration key has no such version.
    ConfigVersionUnknown = "config_version_unknown": NotFound, 404, Lasting,
        "This version of the configuration does not exist.";
    /// The tenant's configuration names an origin that the service does not allow.
    OriginNotAllowed = "origin_not_allowed": PermissionDenied, 403, Lasting,
        "The configuration names an address that this service does not allow.";

    /// The disk is full.
    DiskFull = "disk_full": Unavailable, 507, Passing, "The service has no storage space left.";
    /// The data folder is held by another process or another backend.
    DataFolderInUse = "data_folder_in_use": Conflict, 503, Lasting, "The service is not available.";
    /// The data folder cannot be written.
    StorageNotWritable = "storage_not_writable": Unavailable, 503, Lasting, "The service cannot write its data.";
    /// Another program or call holds a lock on a stored file.
    StorageBusy = "storage_busy": Unavailable, 503, Passing, "The service is busy. Try again later.";
    /// A newer release wrote the stored data.
    StorageFormatNewer = "storage_format_newer": FailedPrecondition, 500, Lasting,
        "The service cannot read its data.";
    /// The process may open no more files.
    TooManyOpenFiles = "too_many_open_files": Unavailable, 503, Passing, "The service is busy. Try again later.";

    /// A file that a call names cannot be read.
    FileUnreadable = "file_unreadable": Unavailable, 500, Lasting, "A file cannot be read.";
    /// A file is not a video, or is damaged.
    VideoInvalid = "video_invalid": InvalidInput, 422, Lasting, "The file is not a video, or is damaged.";

    /// The use of quotas cannot be read or stored.
    QuotaStoreUnavailable = "quota_store_unavailable": Unavailable, 503, Passing,
        "The service is temporarily unavailable. Try again later.";
    /// Too many calls of one tenant wait for the backend, or one waited for too long.
    TenantQueueFull = "tenant_queue_full": RateLimited, 429, Passing, "Too many requests. Try again later.";
    /// Too many searches wait already.
    SearchQueueFull = "search_queue_full": RateLimited, 503, Passing, "The service is busy. Try again later.";
    /// The search did not end within its deadline.
    SearchTimeout = "search_timeout": Timeout, 504, Passing, "The search took too long. Narrow it, or try again later.";
    /// A tenant's data is still being opened.
    SchemaOpening = "schema_opening": Timeout, 503, Passing, "The video library is being opened. Try again later.";
    /// A server behind the service cannot be reached, or failed.
    BackendUnavailable = "backend_unavailable": Unavailable, 503, Passing,
        "The service is temporarily unavailable. Try again later.";
    /// A server behind the service took too long.
    BackendTimeout = "backend_timeout": Timeout, 504, Passing, "The request took too long. Try again later.";
    /// A server behind the service is overloaded, or its quota is used up.
    BackendOverloaded = "backend_overloaded": RateLimited, 503, Passing, "The service is busy. Try again later.";
    /// A server behind the service does not know the service's credentials.
    BackendUnauthenticated = "backend_unauthenticated": Unauthenticated, 502, Lasting,
        "The service is not set up correctly.";
    /// A server behind the service does not permit the call.
    BackendForbidden = "backend_forbidden": PermissionDenied, 502, Lasting, "The service is not set up correctly.";
    /// A model server, or a folder of models, does not have the model.
    ModelUnknown = "model_unknown": NotFound, 502, Lasting, "A model behind this service is missing.";
    /// A text exceeds what the service, or the context of a model, takes.
    TextTooLong = "text_too_long": InvalidInput, 413, Lasting, "The text is too long.";
    /// The search backend takes no documents, as its memory or disk is nearly full.
    FeedBlocked = "feed_blocked": RateLimited, 507, Lasting, "The service has no storage space left.";
    /// Another deployment of schemas is under way.
    DeploymentConflict = "deployment_conflict": Conflict, 409, Passing,
        "Another change of the service is under way. Try again later.";
    /// There is no backup of this id in the target.
    BackupUnknown = "backup_unknown": NotFound, 404, Lasting, "The backup does not exist.";
    /// A backup is not as it was written.
    BackupDamaged = "backup_damaged": Corrupt, 500, Lasting, "The backup is damaged.";
    /// A backup was written by a newer release.
    BackupNewer = "backup_newer": Unsupported, 501, Lasting, "The backup is of a newer release.";
    /// The key of an encrypted backup is not here.
    BackupKeyMissing = "backup_key_missing": FailedPrecondition, 409, Lasting, "The backup cannot be read any more.";
    /// A key does not open what it should.
    BackupKeyWrong = "backup_key_wrong": FailedPrecondition, 500, Lasting, "The service is not set up correctly.";
    /// The tenant of a backup was erased since.
    BackupOfErased = "backup_of_erased": FailedPrecondition, 409, Lasting, "This account was removed.";
    /// Another process makes a backup of the tenant.
    BackupRunning = "backup_running": Conflict, 409, Passing, "A backup of this account is being made already.";
    /// Another process restores the tenant.
    RestoreRunning = "restore_running": Conflict, 409, Passing, "This account is being restored already.";
    /// A backend answered documents of another tenant, which were not shown.
    IsolationViolation = "isolation_violation": Unexpected, 500, Lasting, "The service failed unexpectedly.";
}

impl ErrorCode {
    /// The code of an error that has a kind and no code of its own.
    #[must_use]
    pub const fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::FailedPrecondition => Self::FailedPrecondition,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::QuotaExceeded => Self::QuotaExceeded,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Unexpected => Self::Unexpected,
        }
    }

    /// The text of the code, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The broad kind that the code belongs to.
    #[must_use]
    pub fn kind(self) -> ErrorKind {
        self.row().1
    }

    /// The HTTP status for a service to answer with.
    #[must_use]
    pub fn http_status(self) -> u16 {
        self.row().2
    }

    /// Whether the same request can succeed later without anyone changing it, the data or the configuration.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.row().3 == Lasts::Passing
    }

    /// The text to show to a customer: a constant, so it names no tenant, path, address or query.
    #[must_use]
    pub fn public_message(self) -> &'static str {
        self.row().4
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        found.ok_or_else(|| Error::invalid(format!("unknown error code \"{text}\"; docs/errors.md lists all")))
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_one_text_in_snake_case_that_reads_back() {
        let texts: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        for &code in ErrorCode::ALL {
            let name = format!("{code:?}");
            let snake = name.chars().enumerate().fold(String::new(), |text, (at, letter)| match letter {
                'A'..='Z' if at > 0 => format!("{text}_{}", letter.to_ascii_lowercase()),
                _ => format!("{text}{}", letter.to_ascii_lowercase()),
            });
            assert_eq!(code.as_str(), snake);
            assert_eq!(code.to_string().parse::<ErrorCode>().unwrap(), code);
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
            assert_eq!(serde_json::from_value::<ErrorCode>(json).unwrap(), code);
        }
        assert_eq!("nope".parse::<ErrorCode>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn an_error_without_a_code_of_its_own_has_its_kinds() {
        for &code in ErrorCode::ALL {
            let general = ErrorCode::of_kind(code.kind());
            assert_eq!(general.kind(), code.kind());
            assert_eq!(Error::new(code.kind(), "").code(), general);
            assert_eq!(Error::invalid("").with_code(code).kind(), code.kind());
        }
    }

    #[test]
    fn what_passes_is_never_the_fault_of_the_request() {
        for code in ErrorCode::ALL.iter().filter(|code| code.is_transient()) {
            assert!(![400, 401, 403, 404].contains(&code.http_status()), "{code}");
        }
    }

    #[test]
    fn what_is_shown_to_customers_is_whole_sentences() {
        for code in ErrorCode::ALL {
            let text = code.public_message();
            assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'), "{code}: {text}");
            assert!((400..600).contains(&code.http_status()), "{code}");
        }
    }
}
