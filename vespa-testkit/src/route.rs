//! Parts of the wire, as a test names them.

/// The requests that a fault applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// Every request.
    Any,
    /// Requests whose path, as sent, begins so: one document type, one session.
    Path(String),
    /// Anything below `/document/v1`.
    Documents,
    /// `/search/`
    Search,
    /// Health, state and metrics, of both ports.
    Health,
    /// `POST …/session`
    Session,
    /// Reading and writing the files of a session or of the active application.
    Content,
    /// `…/session/N/prepared`
    Prepare,
    /// `…/session/N/active`
    Activate,
    /// `POST …/prepareandactivate`
    PrepareAndActivate,
    /// The active application: its generation, its reindexing, its end.
    Application,
    /// `…/serviceconverge`
    Convergence,
}

impl Route {
    /// The part to which a path belongs; `Any` where it belongs to none.
    pub(crate) fn of(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["document", "v1", ..] => Self::Documents,
            ["search", ..] => Self::Search,
            ["state" | "metrics" | "status.html" | "ApplicationStatus", ..] => Self::Health,
            ["application", "v2", "tenant", _, rest @ ..] => match rest {
                ["session"] => Self::Session,
                ["session", _, "prepared"] => Self::Prepare,
                ["session", _, "active"] => Self::Activate,
                ["session", _, "content", ..] => Self::Content,
                ["prepareandactivate"] => Self::PrepareAndActivate,
                ["application", _, "environment", _, "region", _, "instance", _, what, ..] => match *what {
                    "content" => Self::Content,
                    "serviceconverge" => Self::Convergence,
                    _ => Self::Application,
                },
                ["application", ..] => Self::Application,
                _ => Self::Any,
            },
            _ => Self::Any,
        }
    }

    /// Whether a request of `route` with this path is meant.
    pub(crate) fn covers(&self, route: &Self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Path(prefix) => path.starts_with(prefix.as_str()),
            one => one == route,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_part() {
        let instance = "/application/v2/tenant/default/application/default/environment/prod/region/r/instance/default";
        let table = [
            ("/document/v1/ns/type/docid/a", Route::Documents),
            ("/search/", Route::Search),
            ("/state/v1/health", Route::Health),
            ("/application/v2/tenant/default/session", Route::Session),
            ("/application/v2/tenant/default/session/", Route::Session),
            ("/application/v2/tenant/default/session/7/content/schemas/a.sd", Route::Content),
            ("/application/v2/tenant/default/session/7/prepared", Route::Prepare),
            ("/application/v2/tenant/default/session/7/active", Route::Activate),
            ("/application/v2/tenant/default/prepareandactivate", Route::PrepareAndActivate),
            ("/application/v2/tenant/default/application/default", Route::Application),
            (instance, Route::Application),
            ("/elsewhere", Route::Any),
        ];
        for (path, route) in table {
            assert_eq!(Route::of(path), route, "{path}");
        }
        assert_eq!(Route::of(&format!("{instance}/serviceconverge/a:1")), Route::Convergence);
        assert_eq!(Route::of(&format!("{instance}/content")), Route::Content);
    }
}
