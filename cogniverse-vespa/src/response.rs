//! A search's answer, read in one pass: each hit's fields go straight to their kinds, and nothing else is kept.

use crate::{
    document_json::{FieldsSeed, WireDocument},
    error,
    json_key::Key,
    wire::{SearchCoverage, SearchError, SearchFields, relevance},
};
use cogniverse_core::schemas::Schema;
use cogniverse_http::unreadable;
use cogniverse_sdk::{Error, Result};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) total: u64,
    pub(crate) coverage: Option<SearchCoverage>,
    pub(crate) errors: Vec<Error>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) groups: Vec<GroupList>,
}

/// The groups of one grouping.
#[derive(Debug, Deserialize)]
pub(crate) struct GroupList {
    #[serde(default)]
    pub(crate) label: String,
    #[serde(rename = "children", default)]
    pub(crate) groups: Vec<Group>,
}

/// One group.
#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) value: String,
    pub(crate) fields: GroupFields,
}

/// What is told of a group.
#[derive(Debug, Deserialize)]
pub(crate) struct GroupFields {
    #[serde(rename = "count()")]
    pub(crate) count: u64,
}

/// The id of what holds the groups of a query begins with this, and that of no hit.
const GROUPS: &str = "group:root:";

/// What stands beside each other in an answer.
enum Child {
    Hit(Hit),
    Groups(Vec<GroupList>),
}

/// One hit.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) relevance: f64,
    pub(crate) document: WireDocument,
}

/// Reads an answer; none where it is no answer of a search.
pub(crate) fn read(body: &[u8], schema: &Schema) -> Result<Found> {
    // Text that is known to be UTF-8 as a whole is not looked at again string by string.
    let text = std::str::from_utf8(body)
        .map_err(|e| Error::unexpected("the answer of a search is no UTF-8").with_source(e))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Answer(schema).deserialize(&mut deserializer).and_then(|found| deserializer.end().map(|()| found));
    match read {
        Ok(Some(found)) => Ok(found),
        Ok(None) => {
            Err(Error::unexpected("the answer has no root").with_withheld(error::quote(&String::from_utf8_lossy(body))))
        }
        Err(e) => Err(unreadable("Vespa", body, &e)),
    }
}

#[derive(Clone, Copy)]
struct Answer<'s>(&'s Schema);

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = Option<Found>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a search's answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut root = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == "root" {
                root = Some(map.next_value_seed(Root(self.0))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(root)
    }
}

#[derive(Clone, Copy)]
struct Root<'s>(&'s Schema);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = Found;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the root of a search's answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "fields" => found.total = map.next_value::<SearchFields>()?.total,
                "coverage" => found.coverage = Some(map.next_value()?),
                "errors" => {
                    let errors: Vec<SearchError<'de>> = map.next_value()?;
                    found.errors = errors.iter().map(error::of_search).collect();
                }
                "children" => {
                    for child in map.next_value_seed(crate::document_json::List(ChildSeed(self.0)))? {
                        match child {
                            Child::Hit(hit) => found.hits.push(hit),
                            Child::Groups(groups) => found.groups.extend(groups),
                        }
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
struct ChildSeed<'s>(&'s Schema);

impl<'de> DeserializeSeed<'de> for ChildSeed<'_> {
    type Value = Child;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Child, D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Deserialize)]
struct Relevance(#[serde(deserialize_with = "relevance")] f64);

impl<'de> Visitor<'de> for ChildSeed<'_> {
    type Value = Child;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hit or the groups of a query")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Child, A::Error> {
        let mut hit = Hit { relevance: f64::NAN, document: WireDocument::default() };
        let mut groups = None;
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "id" => {
                    let id: Cow<'de, str> = map.next_value()?;
                    // Where nothing matched, there is nothing else of the groups.
                    if id.starts_with(GROUPS) {
                        groups.get_or_insert_with(Vec::new);
                    }
                }
                // No hit has any.
                "children" => groups = Some(map.next_value()?),
                "relevance" => hit.relevance = map.next_value::<Relevance>()?.0,
                "fields" => hit.document = map.next_value_seed(FieldsSeed(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(groups.map_or(Child::Hit(hit), Child::Groups))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::contract::fixture;

    fn found(body: &str) -> Result<Found> {
        read(body.as_bytes(), &Schema::compile(fixture::schema()).unwrap())
    }

    #[test]
    fn hits_errors_and_coverage_are_read_together() {
        let found = found(
            r#"{"root":{"id":"toplevel","relevance":1.0,"fields":{"totalCount":2},"coverage":{"coverage":50,"documents":1,"degraded":{"timeout":true},"full":false,"nodes":1},
            "errors":[{"code":12,"summary":"Timed out","message":"a \"node\""}],"children":[
            {"id":"x","relevance":"-Infinity","source":"c","fields":{"sddocname":"s","documentid":"id:ns:s::v/1","video_id":"a\u0062","segment_id":7,"tags":["x"],"start_time":3,"matchfeatures":{"firstPhase":0.5,"other":1},"unknown":{"a":[1]}}},
            {"id":"y","relevance":3,"source":"c","fields":{"documentid":"id:ns:s::v/2","video_id":null}}]},"timing":{"querytime":0.1}}"#,
        )
        .unwrap();
        assert_eq!((found.total, found.hits.len(), found.errors.len()), (2, 2, 1));
        let first = found.hits.first().unwrap();
        assert_eq!((first.relevance, first.document.first_phase), (f64::NEG_INFINITY, Some(0.5)));
        let fields = first.document.fields.as_ref().unwrap();
        assert_eq!(fields.get(&fixture::field("video_id")).unwrap().as_str(), Some("ab"));
        assert_eq!(fields.len(), 4);
        assert!(found.coverage.unwrap().degraded.unwrap().timeout);
    }

    #[test]
    fn groups_stand_beside_hits_in_any_order() {
        let root = r#"{"id":"group:root:0","relevance":1.0,"continuation":{"this":""},"children":[{"id":"grouplist:facet0","label":"facet0","children":[{"id":"group:string:v1","relevance":0.5,"value":"v1","fields":{"count()":3}}]}]}"#;
        let turned = r#"{"children":[{"children":[{"fields":{"count()":3},"value":"v1"}],"label":"facet0"}],"id":"group:root:0"}"#;
        let hit = r#"{"id":"index:c/0/1","relevance":1,"fields":{"documentid":"id:ns:s::v/1"}}"#;
        for children in [format!("{root},{hit}"), format!("{hit},{turned}")] {
            let found =
                found(&format!(r#"{{"root":{{"fields":{{"totalCount":4}},"children":[{children}]}}}}"#)).unwrap();
            let lists =
                found.groups.iter().map(|list| (&*list.label, &*list.groups[0].value, list.groups[0].fields.count));
            assert_eq!((found.hits.len(), lists.collect::<Vec<_>>()), (1, vec![("facet0", "v1", 3)]));
        }
        let none = found(r#"{"root":{"fields":{"totalCount":0},"children":[{"id":"group:root:0","relevance":1.0}]}}"#)
            .unwrap();
        assert!(none.hits.is_empty() && none.groups.is_empty());
    }

    #[test]
    fn invariant_09_what_is_no_answer_is_an_error() {
        for body in
            ["", "{}", "[]", "{\"root\":{}", "<html>", "{\"root\":[]}", r#"{"root":{"children":[{"relevance":"x"}]}}"#]
        {
            assert!(found(body).is_err(), "{body}");
        }
        let empty = found(r#"{"root":{"fields":{"totalCount":0}}}"#).unwrap();
        assert!(empty.hits.is_empty() && empty.coverage.is_none());
    }
}
