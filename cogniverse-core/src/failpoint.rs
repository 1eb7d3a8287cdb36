//! Places at which tests stop the process. Not part of the interface.

/// Stops here for ever where the variable `COGNIVERSE_FAILPOINT` names this place, so that a test can kill the process.
/// Does nothing in a build without the feature `failpoints`.
pub fn reach(place: &str) {
    #[cfg(feature = "failpoints")]
    if std::env::var("COGNIVERSE_FAILPOINT").is_ok_and(|wanted| wanted == place) {
        tracing::error!(place, "stopped at a failpoint");
        eprintln!("failpoint {place}");
        loop {
            std::thread::park();
        }
    }
    #[cfg(not(feature = "failpoints"))]
    let _ = place;
}
