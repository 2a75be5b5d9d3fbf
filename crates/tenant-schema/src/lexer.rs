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
    /// All of it but blanks and comments, in order.
    pub(crate) tokens: Vec<Token>,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Byte offset of its first character.
    pub(crate) at: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word outside quotes, in lower case.
    Word(String),
    /// A name in double quotes.
    Name(String),
    /// A string as it is written; `plain` where its value is that.
    Text {
        /// What is between its quotes.
        raw: String,
        /// Byte offset of that.
        at: usize,
        /// Whether nothing in it has to be unescaped.
        plain: bool,
    },
    /// Any other character, or a number's first.
    Symbol(u8),
}

/// A comment of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Byte offset of its first character.
    pub(crate) start: usize,
    /// Byte offset behind its last character.
    pub(crate) end: usize,
    /// Whether it stands between statements, not within one.
    pub(crate) between: bool,
}

/// A file, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) statements: Vec<Statement>,
    pub(crate) comments: Vec<Comment>,
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
    Ok(scan(sql)?.statements)
}

/// The statements and the comments of `sql`.
pub(crate) fn scan(sql: &str) -> Result<Scan, Unfinished> {
    let mut lexer =
        Lexer { sql, at: 0, current: None, parens: 0, blocks: 0, done: Scan::default() };
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
    done: Scan,
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
                self.take(1, Kind::Symbol(byte));
            }
        }
        Ok(())
    }

    /// Adds the next `length` bytes to the statement, which they may begin.
    fn take(&mut self, length: usize, kind: Kind) -> &mut Statement {
        let start = self.at;
        self.at += length;
        let fresh = || Statement {
            start,
            end: start,
            words: Vec::new(),
            quoted: Vec::new(),
            tokens: Vec::new(),
        };
        let statement = self.current.get_or_insert_with(fresh);
        statement.end = self.at;
        statement.tokens.push(Token { at: start, kind });
        statement
    }

    /// Adds a string of `length` bytes, of which the first and last are its
    /// quotes.
    fn take_text(&mut self, length: usize, opening: usize, closing: usize, plain: bool) {
        let at = self.at + opening;
        let raw = self.sql[at..self.at + length - closing].to_owned();
        self.take(length, Kind::Text { raw, at, plain });
    }

    fn semicolon(&mut self) {
        if self.parens > 0 || self.blocks > 0 {
            self.take(1, Kind::Symbol(b';'));
        } else {
            self.at += 1;
            if let Some(statement) = &mut self.current {
                statement.end = self.at;
            }
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.done.statements.extend(self.current.take());
        (self.parens, self.blocks) = (0, 0);
    }

    fn skip_line(&mut self) {
        let rest = &self.sql[self.at..];
        self.comment(self.at + rest.find('\n').unwrap_or(rest.len()));
    }

    fn comment(&mut self, end: usize) {
        let between = self.current.is_none();
        self.done.comments.push(Comment { start: self.at, end, between });
        self.at = end;
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
                self.comment(at);
                return Ok(());
            }
        }
        Err(Unfinished { at: self.at, rule: "begins a comment that does not end" })
    }

    /// `'…'`; in an `E'…'` string a backslash escapes.
    fn string(&mut self, escapes: bool) -> Result<(), Unfinished> {
        let rest = &self.sql.as_bytes()[self.at..];
        let opening = if escapes { 2 } else { 1 };
        let mut at = opening;
        let mut plain = !escapes;
        while at < rest.len() {
            match (rest[at], rest.get(at + 1)) {
                (b'\\', Some(_)) if escapes => at += 2,
                (b'\'', Some(b'\'')) => {
                    plain = false;
                    at += 2;
                }
                (b'\'', _) => {
                    self.take_text(at + 1, opening, 1, plain);
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
                    self.take(at + 2, Kind::Name(name.clone())).quoted.push(name);
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
            self.take(1, Kind::Symbol(b'$'));
            return Ok(());
        }
        let tag = &rest[..=end];
        match rest[tag.len()..].find(tag) {
            Some(length) => {
                self.take_text(length + 2 * tag.len(), tag.len(), tag.len(), true);
                Ok(())
            }
            None => Err(Unfinished { at: self.at, rule: "begins a $-string that does not end" }),
        }
    }

    fn number(&mut self) {
        let rest = self.sql[self.at..].bytes();
        let length = rest.take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        self.take(length, Kind::Symbol(b'0'));
    }

    fn word(&mut self) -> Result<(), Unfinished> {
        let rest = &self.sql[self.at..];
        let inner = |b: &u8| word_begins(*b) || b.is_ascii_digit() || *b == b'$';
        let length = rest.bytes().take_while(inner).count();
        let word = rest[..length].to_lowercase();
        let quote_follows = rest.as_bytes().get(length) == Some(&b'\'');
        if quote_follows && word == "e" {
            return self.string(true);
        }
        self.take(length, Kind::Word(word.clone())).words.push(word);
        self.enter_block();
        Ok(())
    }

    /// Follows `BEGIN ATOMIC … END` and `CASE … END` in SQL functions, whose
    /// bodies hold `;`.
    fn enter_block(&mut self) {
        let Some(statement) = &self.current else {
            return;
        };
        let word = |index: usize| statement.words.get(index).map_or("", String::as_str);
        let kind = if word(1) == "or" && word(2) == "replace" { word(3) } else { word(1) };
        let routine = word(0) == "create" && matches!(kind, "function" | "procedure");
        if !routine || self.parens > 0 {
            return;
        }
        let newest = statement.words.len() - 1;
        match word(newest) {
            "atomic" if newest > 0 && word(newest - 1) == "begin" => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }
}

fn word_begins(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

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

    /// What may stand between two tokens.
    const BLANKS: &[&str] = &[" ", "\n", "\t", " -- ; 'x\n", "/* ; \" /* $$ */ ' */"];

    /// Whole tokens that hold what ends a statement, and `SET ROLE`.
    const INERT: &[&str] = &[
        "'; SET ROLE x; '",
        "'it''s;'",
        "E'\\'; SET ROLE x'",
        "\"; SET ROLE x\"",
        "$$; SET ROLE x; $$",
        "$a$ $$; ' $a$",
        "(SELECT 1; SELECT 2)",
        "naïve",
        "12e3",
        "$1",
        "a$b",
        "::",
    ];

    /// Statements, each of some tokens behind a first word.
    fn statements() -> impl Strategy<Value = Vec<String>> {
        let part = (select(BLANKS), select(INERT)).prop_map(|(blank, token)| {
            // Two words need a blank between them.
            format!(" {blank}{token}")
        });
        let one = (select(BLANKS), vec(part, 0..6))
            .prop_map(|(blank, parts)| format!("{blank}SELECT{}", parts.concat()));
        vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_in_order_or_refused_where_it_breaks(sql in "\\PC{0,60}") {
            match scan(&sql) {
                Err(error) => prop_assert!(error.at < sql.len() && sql.is_char_boundary(error.at)),
                Ok(Scan { statements, comments }) => {
                    let mut behind = 0;
                    for statement in &statements {
                        prop_assert!(behind <= statement.start && statement.start < statement.end);
                        behind = statement.end;
                        let text = sql.get(statement.start..statement.end);
                        prop_assert!(text.is_some_and(|text| text.trim_ascii() == text));
                        let inside = statement.start..statement.end;
                        prop_assert!(statement.tokens.iter().all(|t| inside.contains(&t.at)));
                    }
                    for comment in &comments {
                        let text = sql.get(comment.start..comment.end).unwrap();
                        prop_assert!(text.starts_with("--") || text.starts_with("/*"));
                    }
                }
            }
        }

        #[test]
        fn statements_end_where_they_end_whatever_they_quote(parts in statements()) {
            let found = scan(&parts.join(";")).unwrap().statements;
            prop_assert_eq!(found.len(), parts.len());
            for statement in &found {
                prop_assert_eq!(&statement.words[0], "select");
                prop_assert!(!statement.words.iter().any(|word| word == "set"));
            }
        }

        #[test]
        fn a_role_is_seen_wherever_it_is_set(
            mut parts in statements(), blank in select(BLANKS), at in any::<prop::sample::Index>()
        ) {
            prop_assert!(!parts.iter().any(|sql| sets_a_role(sql)), "{:?}", parts);
            parts.insert(at.index(parts.len() + 1), format!("{blank}SeT {blank}Role{blank} x"));
            prop_assert!(sets_a_role(&parts.join(";\n")));
        }
    }

    fn sets_a_role(sql: &str) -> bool {
        scan(sql).unwrap().statements.iter().any(|s| crate::session_rules::find(s).is_some())
    }
}
