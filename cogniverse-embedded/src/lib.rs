//! The default search backend: files on this machine.
