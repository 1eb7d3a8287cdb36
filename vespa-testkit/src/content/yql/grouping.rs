//! Groupings: counts of the matches by a field. Others are refused.

use super::parse::Parser;

/// `all(group(field) max(n) precision(n) order(-count()) each(output(count())) as(label))`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grouping {
    pub(crate) field: String,
    /// None for Vespa's own limit.
    pub(crate) max: Option<usize>,
    /// Whether the most frequent come first; else the best, which is refused.
    pub(crate) by_count: bool,
    pub(crate) label: Option<String>,
}

const OTHER: &str = "a grouping other than counts by a field is not done by vespa-testkit";

impl Parser<'_> {
    /// After the sign `|`.
    pub(super) fn groupings(&mut self) -> Result<Vec<Grouping>, String> {
        if !self.keyword("all") {
            return Err(OTHER.to_owned());
        }
        self.expect("(")?;
        let mut found = Vec::new();
        if self.keyword("group") {
            found.push(self.grouping()?);
        } else {
            while self.keyword("all") {
                self.expect("(")?;
                if !self.keyword("group") {
                    return Err(OTHER.to_owned());
                }
                found.push(self.grouping()?);
                self.expect(")")?;
            }
        }
        self.expect(")")?;
        if found.is_empty() { Err(self.wrong()) } else { Ok(found) }
    }

    fn grouping(&mut self) -> Result<Grouping, String> {
        self.expect("(")?;
        let mut grouping = Grouping { field: self.word()?, max: None, by_count: false, label: None };
        self.expect(")")?;
        loop {
            if self.keyword("max") {
                grouping.max = Some(self.bound()?);
            } else if self.keyword("precision") {
                self.bound()?;
            } else if self.keyword("order") {
                self.expect("(")?;
                self.expect("-")?;
                self.count()?;
                self.expect(")")?;
                grouping.by_count = true;
            } else if self.keyword("each") {
                self.expect("(")?;
                if !self.keyword("output") {
                    return Err(OTHER.to_owned());
                }
                self.expect("(")?;
                self.count()?;
                self.expect(")")?;
                self.expect(")")?;
                break;
            } else {
                return Err(OTHER.to_owned());
            }
        }
        if self.keyword("as") {
            self.expect("(")?;
            grouping.label = Some(self.word()?);
            self.expect(")")?;
        }
        if grouping.by_count { Ok(grouping) } else { Err(OTHER.to_owned()) }
    }

    fn count(&mut self) -> Result<(), String> {
        if !self.keyword("count") {
            return Err(OTHER.to_owned());
        }
        self.expect("(")?;
        self.expect(")")
    }

    fn bound(&mut self) -> Result<usize, String> {
        self.expect("(")?;
        let number = self.whole()?;
        self.expect(")")?;
        usize::try_from(number).map_err(|_| format!("'{number}' is no number of groups"))
    }
}
