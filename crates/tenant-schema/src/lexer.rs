//! Splits SQL into statements as psql does, well enough to count them, to see
//! how each begins, and to say on which line it stands. What is executed is
//! the file as it is; nothing is ever run because of how it was split.

/// A statement of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Byte offset of its first token.
    pub(crate) start: usize,
    /// Byte offset behind its last token, or behind its `;`.
    pub(crate) end: usize,
    /// Its words outside quotes, in lower case.
    pub(crate) words: Vec<String>,
    /// Its words in double quotes.
    pub(crate) quoted: Vec<String>,
}

/// Why a file cannot be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// Byte offset of what is not finished, or not SQL.
    pub(crate) at: usize,
    /// What is wrong, as the rest of a sentence.
    pub(crate) rule: &'static str,
}

/// The line, counted from 1, of a byte offset.
pub(crate) fn line_at(sql: &str, at: usize) -> usize {
    sql.as_bytes()[..at.min(sql.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Splits `sql` at each `;` that ends a statement.
pub(crate) fn split(sql: &str) -> Result<Vec<Statement>, Unfinished> {
    let mut lexer = Lexer { sql, at: 0, current: None, parens: 0, blocks: 0, done: Vec::new() };
    while lexer.at < sql.len() {
        lexer.token()?;
    }
    lexer.finish();
    Ok(lexer.done)
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    current: Option<Statement>,
    parens: usize,
    /// Depth of `BEGIN ATOMIC` and `CASE` within a function's body.
    blocks: usize,
    done: Vec<Statement>,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<(), Unfinished> {
        let rest = &self.sql.as_bytes()[self.at..];
        match rest[0] {
            byte if byte.is_ascii_whitespace() => self.at += 1,
            b'-' if rest.starts_with(b"--") => self.skip_line(),
            b'/' if rest.starts_with(b"/*") => self.skip_comment()?,
            b'\\' => {
                let rule = "begins a psql command, which only psql understands";
                return Err(Unfinished { at: self.at, rule });
            }
            b';' => self.semicolon(),
            b'\'' => self.string(false)?,
            b'"' => self.quoted()?,
            b'$' => self.dollar()?,
            byte if word_begins(byte) => self.word()?,
            byte if byte.is_ascii_digit() => self.number(),
            byte => {
                match byte {
                    b'(' => self.parens += 1,
                    b')' => self.parens = self.parens.saturating_sub(1),
                    _ => {}
                }
                self.take(1);
            }
        }
        Ok(())
    }

    /// Adds the next `length` bytes to the statement, which they may begin.
    fn take(&mut self, length: usize) -> &mut Statement {
        let start = self.at;
        self.at += length;
        let fresh = || Statement { start, end: start, words: Vec::new(), quoted: Vec::new() };
        let statement = self.current.get_or_insert_with(fresh);
        statement.end = self.at;
        statement
    }

    fn semicolon(&mut self) {
        if self.parens > 0 || self.blocks > 0 {
            self.take(1);
        } else {
            self.at += 1;
            if let Some(statement) = &mut self.current {
                statement.end = self.at;
            }
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.done.extend(self.current.take());
        (self.parens, self.blocks) = (0, 0);
    }

    fn skip_line(&mut self) {
        let rest = &self.sql[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn skip_comment(&mut self) -> Result<(), Unfinished> {
        let bytes = self.sql.as_bytes();
        let (mut depth, mut at) = (0, self.at);
        while at < bytes.len() {
            let step = match &bytes[at..] {
                [b'/', b'*', ..] => {
                    depth += 1;
                    2
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            at += step;
            if depth == 0 {
                self.at = at;
                return Ok(());
            }
        }
        Err(Unfinished { at: self.at, rule: "begins a comment that does not end" })
    }

    /// `'…'`; in an `E'…'` string a backslash escapes.
    fn string(&mut self, escapes: bool) -> Result<(), Unfinished> {
        let rest = &self.sql.as_bytes()[self.at..];
        let mut at = 1;
        while at < rest.len() {
            match (rest[at], rest.get(at + 1)) {
                (b'\\', Some(_)) if escapes => at += 2,
                (b'\'', Some(b'\'')) => at += 2,
                (b'\'', _) => {
                    self.take(at + 1);
                    return Ok(());
                }
                _ => at += 1,
            }
        }
        Err(Unfinished { at: self.at, rule: "begins a string that does not end" })
    }

    fn quoted(&mut self) -> Result<(), Unfinished> {
        let rest = &self.sql[self.at + 1..];
        let bytes = rest.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match (bytes[at], bytes.get(at + 1)) {
                (b'"', Some(b'"')) => at += 2,
                (b'"', _) => {
                    let name = rest[..at].replace("\"\"", "\"");
                    self.take(at + 2).quoted.push(name);
                    return Ok(());
                }
                _ => at += 1,
            }
        }
        Err(Unfinished { at: self.at, rule: "begins a quoted name that does not end" })
    }

    /// `$tag$…$tag$`, or a `$1`.
    fn dollar(&mut self) -> Result<(), Unfinished> {
        let rest = &self.sql[self.at..];
        let tag_length = rest.bytes().skip(1).take_while(|b| word_begins(*b) || b.is_ascii_digit());
        let end = 1 + tag_length.count();
        let tagged =
            rest.as_bytes().get(end) == Some(&b'$') && !rest.as_bytes()[1].is_ascii_digit();
        if !tagged {
            self.take(1);
            return Ok(());
        }
        let tag = &rest[..=end];
        match rest[tag.len()..].find(tag) {
            Some(length) => {
                self.take(length + 2 * tag.len());
                Ok(())
            }
            None => Err(Unfinished { at: self.at, rule: "begins a $-string that does not end" }),
        }
    }

    fn number(&mut self) {
        let rest = self.sql[self.at..].bytes();
        let length = rest.take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        self.take(length);
    }

    fn word(&mut self) -> Result<(), Unfinished> {
        let rest = &self.sql[self.at..];
        let inner = |b: &u8| word_begins(*b) || b.is_ascii_digit() || *b == b'$';
        let length = rest.bytes().take_while(inner).count();
        let word = rest[..length].to_lowercase();
        let quote_follows = rest.as_bytes().get(length) == Some(&b'\'');
        if quote_follows && word == "e" {
            self.take(length);
            return self.string(true);
        }
        self.take(length).words.push(word);
        self.enter_block();
        Ok(())
    }

    /// Follows `BEGIN ATOMIC … END` and `CASE … END` in SQL functions, whose
    /// bodies hold `;`.
    fn enter_block(&mut self) {
        let Some(statement) = &self.current else {
            return;
        };
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        let routine = matches!(
            words[..],
            ["create", "function" | "procedure", ..]
                | ["create", "or", "replace", "function" | "procedure", ..]
        );
        if !routine || self.parens > 0 {
            return;
        }
        match words.last() {
            Some(&"atomic") if words[..words.len() - 1].ends_with(&["begin"]) => self.blocks += 1,
            Some(&"case") if self.blocks > 0 => self.blocks += 1,
            Some(&"end") => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }
}

fn word_begins(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).unwrap().iter().map(|s| &sql[s.start..s.end]).collect()
    }

    #[test]
    fn a_semicolon_in_a_string_a_name_or_a_comment_ends_nothing() {
        let sql = "-- a; b\nSELECT ';', \"x;y\", E'\\';', $$;$$, $a$ $$;$$ $a$ /* ; /* ; */ ; */; SELECT 'it''s;'";
        assert_eq!(texts(sql).len(), 2, "{:?}", texts(sql));
    }

    #[test]
    fn parentheses_and_sql_bodies_hold_semicolons() {
        let rule = "CREATE RULE r AS ON INSERT TO t DO (INSERT INTO a VALUES (1); DELETE FROM b);";
        assert_eq!(texts(rule).len(), 1);
        let body = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; \
                    SELECT CASE WHEN true THEN 1 END; END; SELECT 2;";
        assert_eq!(texts(body).len(), 2, "{:?}", texts(body));
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert!(texts("-- nothing\n/* at all */ ;;").is_empty());
    }

    #[test]
    fn dollars_that_quote_nothing_are_passed_over() {
        assert_eq!(texts("SELECT $1, a$b$c; SELECT 2").len(), 2);
    }

    #[test]
    fn what_does_not_end_is_named_where_it_begins() {
        for (sql, line) in
            [("SELECT 1;\n'x", 2), ("/* /* */", 1), ("\n\n$a$ $b$", 3), ("\"x", 1), ("\\c x", 1)]
        {
            let error = split(sql).unwrap_err();
            assert_eq!(line_at(sql, error.at), line, "{sql}");
        }
    }
}
