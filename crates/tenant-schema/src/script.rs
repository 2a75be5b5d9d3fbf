//! What a migration's file may hold, and how it is run.
//!
//! A file runs in one transaction with the record of it. So it may not end
//! that transaction itself: a `BEGIN` and `COMMIT` around all of it are taken
//! off, any other is refused. What PostgreSQL cannot do in a transaction
//! (`CREATE INDEX CONCURRENTLY`, `VACUUM`) stands alone in its file, with or
//! without `-- no-transaction` in the first line.
//!
//! Nor may it hold the way back (`down_half.rs`), or make the session act as
//! somebody else (`session_rules.rs`).

use crate::{
    Error, Result, down_half,
    lexer::{self, Scan, Statement, line_at},
    session_rules,
};

const MARK: &str = "-- no-transaction";

/// A file as it is run.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) sql: String,
    pub(crate) no_transaction: bool,
}

/// Checks a migration's file.
pub(crate) fn prepare(file: &str, text: &str) -> Result<Script> {
    let refused = |at: usize, rule: &str| Error::Script {
        file: file.to_owned(),
        line: line_at(text, at),
        rule: rule.to_owned(),
    };
    let Scan { mut statements, comments } = scan(file, text)?;
    if let Some((at, rule)) = down_half::find(text, &comments) {
        return Err(refused(at, &rule));
    }
    let mut sql = text.to_owned();
    if let [first, .., last] = &statements[..]
        && opens(first)
        && closes(last)
    {
        sql = blank(&blank(&sql, last), first);
        statements = scan(file, &sql)?.statements;
    }
    for statement in &statements {
        let never = never(statement).map(|rule| (statement.start, rule));
        if let Some((at, rule)) = never.or_else(|| session_rules::find(statement)) {
            return Err(refused(at, rule));
        }
    }
    let alone = statements.iter().find(|statement| outside_transaction(statement));
    let no_transaction = text.trim_start().starts_with(MARK) || alone.is_some();
    if no_transaction && let Some(second) = statements.get(1) {
        let rule = "must stand alone in its file, since it runs outside a transaction";
        return Err(refused(alone.unwrap_or(second).start, rule));
    }
    Ok(Script { sql, no_transaction })
}

/// Checks a `.check.sql` file.
pub(crate) fn prepare_check(file: &str, text: &str) -> Result<()> {
    let refused = |at: usize, rule: &str| Error::Script {
        file: file.to_owned(),
        line: line_at(text, at),
        rule: rule.to_owned(),
    };
    let statements = scan(file, text)?.statements;
    if statements.is_empty() {
        return Err(refused(0, "must hold a query"));
    }
    if let Some((at, rule)) = statements.iter().find_map(session_rules::find) {
        return Err(refused(at, rule));
    }
    let query = |s: &&Statement| !matches!(word(s, 0), "select" | "with" | "values" | "table" | "");
    match statements.iter().find(query) {
        Some(other) => Err(refused(other.start, "must be a query: a check changes nothing")),
        None => Ok(()),
    }
}

fn scan(file: &str, text: &str) -> Result<Scan> {
    lexer::scan(text).map_err(|error| Error::Script {
        file: file.to_owned(),
        line: line_at(text, error.at),
        rule: error.rule.to_owned(),
    })
}

fn word(statement: &Statement, index: usize) -> &str {
    statement.words.get(index).map_or("", String::as_str)
}

fn opens(statement: &Statement) -> bool {
    word(statement, 0) == "begin"
        || (word(statement, 0), word(statement, 1)) == ("start", "transaction")
}

fn closes(statement: &Statement) -> bool {
    matches!(word(statement, 0), "commit" | "end") && word(statement, 1) != "prepared"
}

/// What no migration may hold, as the rest of a sentence.
fn never(statement: &Statement) -> Option<&'static str> {
    let has = |word: &str| statement.words.iter().any(|w| w == word);
    match (word(statement, 0), word(statement, 1)) {
        ("rollback" | "abort", _) if word(statement, 1) == "to" || has("savepoint") => None,
        ("begin" | "commit" | "end" | "rollback" | "abort", _)
        | ("start" | "prepare", "transaction") => {
            Some("ends or begins a transaction; the migration runs in one already")
        }
        ("copy", _) if has("stdin") || has("stdout") => {
            Some("copies from or to a client; use INSERT")
        }
        _ => None,
    }
}

fn outside_transaction(statement: &Statement) -> bool {
    let concurrently = statement.words.iter().any(|word| word == "concurrently");
    match word(statement, 0) {
        "vacuum" => true,
        "create" | "drop" | "reindex" | "alter" => concurrently,
        _ => false,
    }
}

/// Overwrites a statement with as many spaces, so that lines and positions
/// stay what they are in the file.
fn blank(sql: &str, statement: &Statement) -> String {
    let spaces =
        sql[statement.start..statement.end].chars().map(|c| if c == '\n' { '\n' } else { ' ' });
    let (before, after) = (&sql[..statement.start], &sql[statement.end..]);
    before.chars().chain(spaces).chain(after.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, String) {
        match prepare("1_x.sql", text) {
            Err(Error::Script { line, rule, .. }) => (line, rule),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_transaction_around_the_whole_file_is_taken_off() {
        let text = "-- x\nBEGIN;\nCREATE TABLE é ();\nCOMMIT;\n";
        let script = prepare("1_x.sql", text).unwrap();
        assert_eq!(script.sql, "-- x\n      \nCREATE TABLE é ();\n       \n");
        assert!(!script.no_transaction);
    }

    #[test]
    fn a_transaction_within_the_file_is_refused() {
        assert_eq!(refused("SELECT 1;\nCOMMIT;\nSELECT 2;").0, 2);
        assert_eq!(refused("BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nCOMMIT;").0, 3);
        assert_eq!(refused("ROLLBACK").0, 1);
        assert!(prepare("1_x.sql", "SAVEPOINT a; ROLLBACK TO a; ROLLBACK TO SAVEPOINT a;").is_ok());
    }

    #[test]
    fn what_cannot_run_in_a_transaction_stands_alone() {
        let one = "CREATE INDEX CONCURRENTLY i ON t (a);";
        assert!(prepare("1_x.sql", one).unwrap().no_transaction);
        assert!(prepare("1_x.sql", "-- no-transaction\nSELECT 1").unwrap().no_transaction);
        assert!(
            !prepare("1_x.sql", "REFRESH MATERIALIZED VIEW CONCURRENTLY v").unwrap().no_transaction
        );
        assert_eq!(refused(&format!("SELECT 1;\n{one}")).0, 2);
        assert_eq!(refused("-- no-transaction\nSELECT 1;\nSELECT 2;").0, 3);
    }

    #[test]
    fn what_only_psql_can_do_is_refused() {
        assert!(refused("\\connect x").1.contains("psql"));
        assert!(refused("\nCOPY t (a) FROM stdin;\n1\n\\.\n").1.contains("psql"));
        assert!(refused("COPY t FROM STDIN;").1.contains("INSERT"));
    }

    #[test]
    fn a_check_leaves_the_session_alone() {
        let text = "SELECT true;\nSELECT set_config('role', 'x', false) = 'x'";
        let error = prepare_check("1_x.check.sql", text).unwrap_err().to_string();
        assert!(error.starts_with("1_x.check.sql:2: makes the session act as"), "{error}");
    }

    #[test]
    fn a_check_is_made_of_queries() {
        assert!(
            prepare_check("1_x.check.sql", "SELECT true; WITH a AS (SELECT 1) TABLE a").is_ok()
        );
        assert!(prepare_check("1_x.check.sql", "(SELECT 1) EXCEPT (SELECT 1)").is_ok());
        for text in ["", "-- none", "DELETE FROM t", "SELECT 1; DO $$ $$"] {
            assert!(prepare_check("1_x.check.sql", text).is_err(), "{text}");
        }
    }
}
