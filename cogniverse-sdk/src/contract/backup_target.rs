//! The contract suite of [`crate::BackupTarget`], for a target that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::BackupTarget;

/// Bytes are read as they were put, and replaced as a whole.
pub async fn bytes_come_back(target: &dyn BackupTarget) -> Outcome {
    let path = "acme%3Ax/20261127T213000Z-00ff/parts/00000001-ab";
    assert_eq!(target.get(path).await.expect("get"), None);
    for bytes in [vec![0, 1, 255], Vec::new(), vec![7; 3 << 20]] {
        target.put(path, bytes.clone()).await.expect("put");
        assert_eq!(target.get(path).await.expect("get"), Some(bytes));
    }
    Outcome::Ran
}

/// Every path is listed by the prefixes of its text, and by nothing else.
pub async fn paths_are_listed(target: &dyn BackupTarget) -> Outcome {
    assert!(target.list("").await.expect("an empty target").is_empty());
    let paths = [
        "acme%3aprod/1/manifest.json",
        "acme/1/manifest.json",
        "acme/1/parts/1",
        "acme/10/manifest.json",
        "acme_corp/1/manifest.json",
    ];
    for path in paths {
        target.put(path, vec![1]).await.expect("put");
    }
    let expected: [(&str, &[&str]); 6] = [
        ("", &paths),
        ("acme%3aprod/", &paths[..1]),
        ("acme/", &paths[1..4]),
        ("acme/1/", &paths[1..3]),
        ("acme/1/parts/", &paths[2..3]),
        ("x/", &[]),
    ];
    for (prefix, expected) in expected {
        let mut found = target.list(prefix).await.expect("list");
        found.sort_unstable();
        assert_eq!(found, expected, "{prefix:?}");
    }
    Outcome::Ran
}

/// A removed path is gone, and may be removed again.
pub async fn removing_is_repeatable(target: &dyn BackupTarget) -> Outcome {
    target.put("a/1", vec![1]).await.expect("put");
    target.put("a/2", vec![2]).await.expect("put");
    for _ in 0..2 {
        target.remove("a/1").await.expect("remove");
    }
    assert_eq!(target.get("a/1").await.expect("get"), None);
    assert_eq!(target.list("").await.expect("list"), ["a/2"]);
    Outcome::Ran
}

/// No path leads out of the target.
pub async fn paths_stay_inside(target: &dyn BackupTarget) -> Outcome {
    for path in ["../x", "/etc/passwd", "a/../../x", "", "a//b"] {
        assert!(target.put(path, vec![1]).await.is_err(), "put {path:?}");
        assert!(target.get(path).await.is_err(), "get {path:?}");
        assert!(target.remove(path).await.is_err(), "remove {path:?}");
    }
    Outcome::Ran
}

/// Expands to one test per case, on a target that `make` opens for each.
#[macro_export]
macro_rules! backup_target_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?] $(, attributes: $attributes:tt)?) => {
        $crate::contract_cases! {
            backup_target, $make, [$($skip),*] $(, $attributes)?;
            bytes_come_back, paths_are_listed, removing_is_repeatable, paths_stay_inside
        }
    };
}
