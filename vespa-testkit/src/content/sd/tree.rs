//! The text of a schema as nested statements, before anything is understood.

/// `head`, `head: value`, `head { … }`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statement {
    pub(super) head: String,
    pub(super) value: Option<String>,
    pub(super) children: Vec<Statement>,
    /// What stood between the braces, for expressions of several lines.
    pub(super) raw: String,
    pub(super) line: usize,
}

impl Statement {
    /// The head's words.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.head.split_whitespace()
    }

    /// The head's first word.
    pub(super) fn keyword(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// The value after the colon, or the text between the braces.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or(&self.raw).trim()
    }
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let statements = reader.block(0)?;
    Ok(statements)
}

/// How deep braces may nest.
const MAX_DEPTH: usize = 32;

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if c.is_whitespace() {
                self.next();
            } else {
                break;
            }
        }
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Statement>, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("{"));
        }
        let mut statements = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None if depth == 0 => return Ok(statements),
                None => return Err(self.wrong("<EOF>")),
                Some('}') if depth == 0 => return Err(self.wrong("}")),
                Some('}') => {
                    self.next();
                    return Ok(statements);
                }
                Some(_) => statements.push(self.statement(depth)?),
            }
        }
    }

    fn wrong(&self, found: &str) -> String {
        format!("Encountered \"{found}\" at line {}.", self.line)
    }

    fn statement(&mut self, depth: usize) -> Result<Statement, String> {
        let (start, line, mut round) = (self.at, self.line, 0usize);
        loop {
            match self.peek() {
                Some('(') => round += 1,
                Some(')') => round = round.saturating_sub(1),
                Some('{') if round == 0 => {
                    let head = self.since(start).trim().to_owned();
                    if head.is_empty() {
                        return Err(self.wrong("{"));
                    }
                    self.next();
                    return self.braces(head, line, depth);
                }
                Some(':') if round == 0 => {
                    let head = self.since(start).trim().to_owned();
                    if head.is_empty() {
                        return Err(self.wrong(":"));
                    }
                    self.next();
                    let value = self.value().trim().to_owned();
                    return Ok(Statement { head, value: Some(value), line, ..Statement::default() });
                }
                // A brace may open on the next line.
                Some('\n') if round == 0 && self.opens_below() => {}
                None | Some('\n' | '}' | '#') if round == 0 => {
                    let head = self.since(start).trim().to_owned();
                    return Ok(Statement { head, line, ..Statement::default() });
                }
                None => return Err(self.wrong("<EOF>")),
                Some(_) => {}
            }
            self.next();
        }
    }

    fn opens_below(&self) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.trim_start().starts_with('{'))
    }

    /// After `head {`. Code (`expression`, `indexing`) is kept as it stands, everything else is statements.
    fn braces(&mut self, head: String, line: usize, depth: usize) -> Result<Statement, String> {
        let start = self.at;
        let code = matches!(head.split_whitespace().next(), Some("expression" | "indexing"));
        if !code {
            let children = self.block(depth + 1)?;
            let raw = self.since(start).trim_end_matches('}').to_owned();
            return Ok(Statement { head, children, raw, line, value: None });
        }
        let mut open = 1usize;
        while let Some(c) = self.next() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                let raw = self.since(start);
                let raw = raw.get(..raw.len().saturating_sub(1)).unwrap_or_default().to_owned();
                return Ok(Statement { head, raw, line, ..Statement::default() });
            }
        }
        Err(self.wrong("<EOF>"))
    }

    /// To the end of the line, or of the block around it.
    fn value(&mut self) -> &'t str {
        let (start, mut open) = (self.at, 0usize);
        while let Some(c) = self.peek() {
            match c {
                '\n' if open == 0 => break,
                '{' | '(' => open += 1,
                '}' if open == 0 => break,
                '}' | ')' => open = open.saturating_sub(1),
                _ => {}
            }
            self.next();
        }
        self.since(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_lines_and_values_are_told_apart() {
        let text = "schema a { # comment\n field t type tensor<int8>(p{}, v[2]) { indexing: attribute | summary }\n  \
                    first-phase {\n expression {\n sum(x)\n + tensor(a{}):{}\n }\n }\n inputs { query(q) tensor<float>(v[2]) }\n}";
        let statements = parse(text).unwrap();
        let schema = &statements[0];
        assert_eq!(schema.head, "schema a");
        assert_eq!(schema.children[0].head, "field t type tensor<int8>(p{}, v[2])");
        assert_eq!(schema.children[0].children[0].value.as_deref(), Some("attribute | summary"));
        assert_eq!(schema.children[1].children[0].text(), "sum(x)\n + tensor(a{}):{}");
        assert_eq!(schema.children[2].children[0].head, "query(q) tensor<float>(v[2])");
        for bad in ["schema a {", "}", "schema a { x { }", "{ }"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
