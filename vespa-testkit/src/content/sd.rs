//! Schemas (`schemas/<name>.sd`): the part of Vespa's schema language that decides what this server does.

mod check;
mod property;
mod read;
mod schema;
mod tree;

pub(crate) use read::read;
pub(crate) use schema::{Field, Input, RankProfile, Schema};
