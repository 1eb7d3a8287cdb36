use super::{Judge, Package, definitions, request, tenant_schema};
use crate::{
    application::{Change, path_of},
    config::{ResourceLimits, VespaConfig},
};
use cogniverse_core::schemas::deployment;
use cogniverse_sdk::BaseSchema;
use serde_json::{Value, json};
use std::sync::Arc;

fn accepted(verdict: &Value) {
    assert_eq!(verdict["accepted"], json!(true), "{verdict}");
}

/// Each step of an application's life passes Vespa's check against the step before; nothing must be restarted, indexed or
/// fed again for what this library does by itself.
#[tokio::test]
async fn invariant_10_each_deployment_passes_vespas_check() {
    let Some(judge) = Judge::find() else { return };
    let all = definitions().await;
    let of_acme: Vec<(&str, &Arc<BaseSchema>)> = all.iter().map(|definition| ("acme:prod", definition)).collect();
    let empty = Package::with(&[]);
    accepted(&judge.check(None, &empty));
    let acme = empty.deployed(&of_acme);
    let globex = acme.deployed(&[("globex_inc", &all[1])]);
    let profile = globex.deployed(&[("globex_inc", &all[2])]);
    let mut ranking = (*all[0]).clone();
    ranking.rank_profiles.truncate(1);
    let ranking = profile.deployed(&[("acme:prod", &Arc::new(ranking))]);
    let dropped = ranking.changed(&Change::Drop(&tenant_schema("acme:prod", &all[3])));
    let tidied = dropped.changed(&Change::Tidy);
    let steps = [&empty, &acme, &globex, &profile, &ranking, &dropped, &tidied];
    for pair in steps.windows(2) {
        let verdict = judge.check(Some(pair[0]), pair[1]);
        accepted(&verdict);
        assert_eq!(verdict["actions"], json!([]), "{verdict}");
    }
    assert!(!tidied.files.keys().any(|path| path.contains("overrides")), "the permission is gone");
    assert_eq!(tidied.files.keys().filter(|path| path.ends_with(".sd")).count(), 1 + all.len() + 2 - 1);
}

/// A drop that nobody asked for has no permission in the package, and Vespa refuses it.
#[tokio::test]
async fn invariant_11_a_drop_that_was_not_asked_for_is_refused_by_vespa() {
    let Some(judge) = Judge::find() else { return };
    let all = definitions().await;
    let both = Package::with(&[("acme", &all[0]), ("globex", &all[0])]);
    let dropped = both.changed(&Change::Drop(&tenant_schema("acme", &all[0])));
    accepted(&judge.check(Some(&both), &dropped));
    let mut unasked = dropped.clone();
    unasked.files.remove(crate::overrides::PATH);
    let verdict = judge.check(Some(&both), &unasked);
    assert_eq!(verdict["accepted"], json!(false), "{verdict}");
    assert!(verdict["error"].as_str().unwrap().contains("contract_video_acme"), "{verdict}");
    // The next deployment of anybody takes the permission out.
    let request = request(&[("initech", &all[0])]);
    let schemas = deployment::compile_request(&request).unwrap();
    let next = dropped.changed(&Change::Deploy { request: &request, schemas: &schemas });
    assert!(!next.files.contains_key(crate::overrides::PATH));
    accepted(&judge.check(Some(&dropped), &next));
    assert!(next.files.contains_key(&path_of("contract_video_globex")));
}

#[tokio::test]
async fn packages_of_several_hosts_and_with_limits_pass() {
    let Some(judge) = Judge::find() else { return };
    let all = definitions().await;
    let config = VespaConfig::new("http://a:1", "http://a:2")
        .with_hosts(vec!["vespa0.example".into(), "vespa1.example".into(), "vespa2.example".into()])
        .with_redundancy(2)
        .with_resource_limits(ResourceLimits { disk: 0.9, memory: 0.85 });
    let package = Package::first(config).deployed(&[("acme", &all[1])]);
    accepted(&judge.check(None, &package));
    assert!(package.files.contains_key("hosts.xml"));
}

/// Schemas of others stay as they are, and Vespa takes both kinds together.
#[tokio::test]
async fn invariant_10_an_application_of_others_keeps_theirs() {
    let Some(judge) = Judge::find() else { return };
    let all = definitions().await;
    let services = "<services version=\"1.0\">\n  <container id=\"web\" version=\"1.0\"><search/><document-api/><nodes><node hostalias=\"node1\"/></nodes></container>\n  <content id=\"cogniverse\" version=\"1.0\">\n    <min-redundancy>1</min-redundancy>\n    <documents>\n      <document type=\"music\" mode=\"index\"/>\n    </documents>\n    <nodes><node hostalias=\"node1\" distribution-key=\"0\"/></nodes>\n  </content>\n</services>\n";
    let music =
        "schema music {\n  document music {\n    field title type string { indexing: summary | index }\n  }\n}\n";
    let mut theirs = Package::with(&[]);
    theirs.files.clear();
    theirs.files.insert("services.xml".to_owned(), services.into());
    theirs.files.insert("schemas/music.sd".to_owned(), music.into());
    accepted(&judge.check(None, &theirs));
    let both = theirs.deployed(&[("acme", &all[0])]);
    accepted(&judge.check(Some(&theirs), &both));
    let gone = both.changed(&Change::Drop(&tenant_schema("acme", &all[0]))).changed(&Change::Tidy);
    assert_eq!(gone.files["services.xml"], services);
    assert_eq!(gone.files["schemas/music.sd"], music);
}
