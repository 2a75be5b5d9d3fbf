//! Refuses files that hold the way back beside the way forward.
//!
//! A file is run as it is, from its first line to its last. Tools that keep
//! both directions in one file tell them apart by a comment, which is nothing
//! to PostgreSQL: what follows `-- migrate:down` would be run like the rest,
//! and drop what the first half made. So a comment that begins such a half, or
//! that says that a tool rewrites the file before it is run, is an error.

use crate::lexer::Comment;

/// A tool, and the comments that begin what it runs to go back.
struct Tool {
    name: &'static str,
    /// The first words of a comment, in lower case, without dashes in front.
    down: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool { name: "dbmate", down: &["migrate:down"] },
    Tool { name: "goose", down: &["+goose down"] },
    Tool { name: "sql-migrate", down: &["+migrate down"] },
    Tool { name: "micrate", down: &["+micrate down"] },
    Tool { name: "rambler", down: &["rambler down"] },
    Tool { name: "node-pg-migrate", down: &["down migration"] },
    Tool { name: "MyBatis Migrations", down: &["//@undo", "//@ undo", "@undo"] },
    Tool { name: "Play evolutions", down: &["!downs"] },
    Tool { name: "tern", down: &["create above / drop below"] },
    Tool { name: "sqitch", down: &["revert "] },
    Tool { name: "Liquibase", down: &["liquibase rollback", "rollback "] },
];

/// Comments that are a heading and nothing else.
const HEADINGS: &[&str] = &[
    "down",
    "downs",
    "downgrade",
    "undo",
    "rollback",
    "revert",
    "reverse",
    "down script",
    "migrate down",
    "migration down",
    "rollback script",
];

/// Comments of tools that change the text before they run it.
const REWRITES: &[(&str, &str)] = &[
    ("+goose envsub on", "goose puts variables into"),
    ("atlas:txtar", "Atlas takes apart"),
    ("liquibase formatted sql", "Liquibase takes apart"),
    ("changeset ", "Liquibase takes apart"),
];

/// Where a comment begins a half that goes back, and what to say of it.
pub(crate) fn find(sql: &str, comments: &[Comment]) -> Option<(usize, String)> {
    comments.iter().find_map(|comment| {
        let text = &sql[comment.start..comment.end];
        objection(text, comment.between).map(|rule| (comment.start, rule))
    })
}

fn objection(comment: &str, between: bool) -> Option<String> {
    let words = words(comment);
    for (mark, does) in REWRITES {
        if is_mark(&words, mark) && is_written_so(comment, &words, does) {
            return Some(format!(
                "marks a file that {does} before it is run; here files are run as they are"
            ));
        }
    }
    for tool in TOOLS {
        let marked = tool.down.iter().any(|mark| is_mark(&words, mark));
        if marked && is_written_so(comment, &words, tool.name) {
            return Some(refusal(&format!("as {} writes it", tool.name)));
        }
    }
    let heading = words.trim_matches(|c: char| !c.is_alphanumeric());
    (between && HEADINGS.contains(&heading)).then(|| refusal("by its heading"))
}

fn refusal(by: &str) -> String {
    format!(
        "begins the half that goes back, {by}; a file is run as a whole, so keep only what goes \
         forward in it, and what goes back in `<version>_<name>.down.sql`, which is never run"
    )
}

/// Comments of people look like those of two tools; theirs are told by how
/// they are written.
fn is_written_so(comment: &str, words: &str, tool: &str) -> bool {
    match tool {
        "sqitch" => words.contains(':') && words.ends_with(" from pg"),
        "Liquibase" if words.starts_with("rollback ") => comment.starts_with("--rollback"),
        "Liquibase takes apart" if words.starts_with("changeset ") => {
            words.split(' ').nth(1).is_some_and(|id| id.contains(':'))
        }
        _ => true,
    }
}

/// Whether `words` begin with `mark`, and the word does not go on.
fn is_mark(words: &str, mark: &str) -> bool {
    words.strip_prefix(mark).is_some_and(|rest| {
        mark.ends_with(' ') || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// The first line that says something, in lower case, blanks made one, without
/// the signs of a comment around it.
fn words(comment: &str) -> String {
    let signs = |c: char| c.is_whitespace() || matches!(c, '-' | '*' | '=' | '#');
    let line = comment.trim_start_matches("/*").trim_end_matches("*/");
    let line = line.lines().map(|line| line.trim_matches(signs)).find(|line| !line.is_empty());
    let lower = line.unwrap_or_default().to_lowercase();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::{line_at, scan};

    fn found(sql: &str) -> Option<(usize, String)> {
        let comments = scan(sql).unwrap().comments;
        find(sql, &comments).map(|(at, rule)| (line_at(sql, at), rule))
    }

    /// Files as the tools' own manuals have them.
    const REFUSED: &[(&str, &str, usize)] = &[
        ("dbmate", "-- migrate:up\nCREATE TABLE a();\n\n-- migrate:down\nDROP TABLE a;", 4),
        ("dbmate", "-- migrate:up\n--  migrate:down transaction:false\nDROP TABLE a;", 2),
        ("goose", "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE a;", 3),
        (
            "goose",
            "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd\n\n\
             --+goose down\n-- +goose StatementBegin\nSELECT 2;\n-- +goose StatementEnd",
            6,
        ),
        ("goose", "-- +goose ENVSUB ON\nCREATE TABLE ${NAME} ();", 1),
        ("sql-migrate", "-- +migrate Up\nSELECT 1;\n-- +migrate Down notransaction\nSELECT 2;", 3),
        ("micrate", "-- +micrate Up\nSELECT 1;\n-- +micrate Down\nSELECT 2;", 3),
        ("rambler", "-- rambler up\nSELECT 1;\n-- rambler down\nSELECT 2;", 3),
        ("node-pg-migrate", "-- Up Migration\nSELECT 1;\n---- Down Migration\nSELECT 2;", 3),
        ("MyBatis", "-- // first\nSELECT 1;\n-- //@UNDO\nSELECT 2;", 3),
        ("MyBatis", "SELECT 1;\n--//@UNDO\nSELECT 2;", 2),
        ("Play", "-- !Ups\nSELECT 1;\n-- !Downs\nSELECT 2;", 3),
        ("tern", "SELECT 1;\n---- create above / drop below ----\nSELECT 2;", 2),
        ("sqitch", "-- Revert flipr:users from pg\nBEGIN;\nDROP TABLE users;\nCOMMIT;", 1),
        ("Liquibase", "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;", 1),
        ("Liquibase", "-- a\n--changeset ann:1 runOnChange:true\nSELECT 1;", 2),
        ("Liquibase", "SELECT 1;\n--rollback DROP TABLE a;", 2),
        ("Liquibase", "SELECT 1;\n/* liquibase rollback\n DROP TABLE a; */", 2),
        ("Atlas", "-- atlas:txtar\n\n-- migration.sql --\nSELECT 1;", 1),
        ("heading", "-- Up\nSELECT 1;\n-- Down\nDROP TABLE a;", 3),
        ("heading", "-- ==== UP ====\nSELECT 1;\n-- ==== DOWN ====\nDROP TABLE a;", 3),
        ("heading", "SELECT 1;\n/*\n * Rollback:\n */\nDROP TABLE a;", 2),
        ("heading", "SELECT 1; -- [down]\nDROP TABLE a;", 1),
    ];

    #[test]
    fn the_half_that_goes_back_is_found_with_its_line_and_tool() {
        for (tool, sql, line) in REFUSED {
            let (at, rule) = found(sql).expect(sql);
            assert_eq!(at, *line, "{sql}");
            assert!(rule.contains(tool), "{tool}: {rule}");
        }
    }

    #[test]
    fn what_goes_forward_alone_is_accepted() {
        for sql in [
            "-- migrate:up\nSELECT 1;",
            "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd",
            "-- +migrate Up\nSELECT 1;",
            "-- Up Migration\nSELECT 1;",
        ] {
            assert_eq!(found(sql), None, "{sql}");
        }
    }

    #[test]
    fn words_of_people_strings_and_bodies_are_no_half() {
        for sql in [
            "-- down payments are kept apart\nSELECT 1;",
            "-- rollback is not possible\nSELECT 1;",
            "-- revert this when 12 is out\nSELECT 1;",
            "-- changeset of orders\nSELECT 1;",
            "INSERT INTO help VALUES ('\n-- migrate:down\n');",
            "DO $$ BEGIN\n-- +goose Down\nNULL; END $$;",
            "CREATE TYPE way AS ENUM (\n-- down\n'down');",
            "-- migrate:downstream\nSELECT 1;",
        ] {
            assert_eq!(found(sql), None, "{sql}");
        }
    }
}
