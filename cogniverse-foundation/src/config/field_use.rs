//! The use of each field of a tenant's configuration.

/// The use that the library makes of a configuration field. Every field of every section declares one
/// ([`ConfigSection::fields`](super::section::ConfigSection::fields)), so that no value is stored and then silently
/// ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldUse {
    /// The field is read by the named code.
    ReadBy(&'static str),
    /// The field is an address that the named code calls, provided that the service allows its origin
    /// ([`AllowedOrigins`](super::origin::AllowedOrigins)); any other address is refused when it is set.
    AddressReadBy(&'static str),
    /// The field cannot differ between tenants, for the given reason: any value but the default is refused when it is
    /// set.
    OneForAll(&'static str),
    /// The field is stored for the given purpose and not read by the library yet.
    KeptFor(&'static str),
}
