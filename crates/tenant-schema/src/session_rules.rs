//! Refuses statements after which the session is somebody else's: another
//! role's, or without the settings and locks that a migration runs with.
//!
//! A migration acts as the owner role. Where it makes the session act as
//! another, what it makes then belongs to that one, and the org's role finds
//! it closed. What is seen here is what stands in the file: statements, bodies
//! of `DO`, strings that such a body executes. What a function does that the
//! file calls is seen after the run (`run.rs`), before it is committed.

use crate::lexer::{self, Kind, Statement, Token};

/// How deep strings within strings are looked into.
const DEPTH: u32 = 4;

/// Settings that are who the session acts as.
const IDENTITIES: &[&str] = &["role", "session_authorization"];

const ROLE: &str = "makes the session act as another role; a migration acts as the owner role, \
                    and whatever it makes must belong to it";
const SETTINGS: &str = "takes back the settings that a migration runs with, such as its role and \
                        timeouts; leave what is temporary to SET LOCAL";
const LOCKS: &str = "gives up the lock that keeps two migrations of one database apart";
const LATER: &str = "makes later sessions act as another role";
const UNSEEN: &str = "sets a setting whose name is not written out as a string, so that it \
                      cannot be seen whether the session goes on as another role";

/// Where a statement does so, and what is wrong with that.
pub(crate) fn find(statement: &Statement) -> Option<(usize, &'static str)> {
    let tokens = &statement.tokens[..];
    if let Some(rule) = begins(tokens) {
        return Some((statement.start, rule));
    }
    let found = calls(tokens);
    if found.is_some() || !is_word(tokens.first(), "do") {
        return found;
    }
    tokens.iter().find_map(|token| in_text(token, DEPTH))
}

/// What is wrong with a statement that begins with these tokens.
fn begins(tokens: &[Token]) -> Option<&'static str> {
    let first = word(tokens.first()?)?;
    let rest = &tokens[1..];
    match first {
        "set" => identity_after(rest).then_some(ROLE),
        "reset" if is_word(rest.first(), "all") => Some(SETTINGS),
        "reset" => identity_after(rest).then_some(ROLE),
        "discard" if is_word(rest.first(), "all") => Some(SETTINGS),
        "alter" if ["database", "role", "user"].iter().any(|kind| is_word(rest.first(), kind)) => {
            let mut clauses = (1..rest.len()).filter(|at| is_word(rest.get(*at), "set"));
            clauses.any(|at| identity_after(&rest[at + 1..])).then_some(LATER)
        }
        _ => None,
    }
}

/// Whether what follows `SET` or `RESET` names who the session acts as.
fn identity_after(mut rest: &[Token]) -> bool {
    if is_word(rest.first(), "local")
        || is_word(rest.first(), "session") && !is_word(rest.get(1), "authorization")
    {
        rest = &rest[1..];
    }
    if is_word(rest.first(), "session") && is_word(rest.get(1), "authorization") {
        return true;
    }
    match rest.first().map(|token| &token.kind) {
        // `U&"…"` hides what it names; there is no reason to write it here.
        Some(Kind::Word(word)) if word == "u" => {
            matches!(rest.get(1).map(|token| &token.kind), Some(Kind::Symbol(b'&')))
        }
        Some(Kind::Word(name) | Kind::Name(name)) => is_identity(name),
        _ => false,
    }
}

fn is_identity(name: &str) -> bool {
    IDENTITIES.iter().any(|identity| name.eq_ignore_ascii_case(identity))
}

/// Calls of functions that do the same.
fn calls(tokens: &[Token]) -> Option<(usize, &'static str)> {
    let named = |token: &Token| match &token.kind {
        Kind::Word(name) | Kind::Name(name) => Some(name.clone()),
        _ => None,
    };
    tokens.windows(2).enumerate().find_map(|(index, pair)| {
        if pair[1].kind != Kind::Symbol(b'(') {
            return None;
        }
        let rule = match named(&pair[0])?.as_str() {
            "set_config" => set_config(&tokens[index + 2..]),
            "pg_advisory_unlock_all" => Some(LOCKS),
            _ => None,
        };
        rule.map(|rule| (pair[0].at, rule))
    })
}

/// What is wrong with the arguments of `set_config`.
fn set_config(arguments: &[Token]) -> Option<&'static str> {
    let name = match &arguments.first()?.kind {
        Kind::Text { raw, plain: true, .. } => raw,
        _ => return Some(UNSEEN),
    };
    // More strings may follow on, and be one with it.
    let ends = matches!(arguments.get(1).map(|t| &t.kind), Some(Kind::Symbol(b',' | b':')));
    match (ends, is_identity(name)) {
        (_, true) => Some(ROLE),
        (false, false) => Some(UNSEEN),
        (true, false) => None,
    }
}

/// What a string holds that is a body, or may be executed by one.
fn in_text(token: &Token, depth: u32) -> Option<(usize, &'static str)> {
    let Kind::Text { raw, at, .. } = &token.kind else {
        return None;
    };
    // What cannot be taken apart is prose, or the server refuses it.
    let statements = lexer::split(raw).ok()?;
    let found = statements.iter().find_map(|statement| {
        let tokens = &statement.tokens[..];
        let starts = (0..tokens.len()).filter(|index| *index == 0 || opens(&tokens[index - 1]));
        let mut starts =
            starts.filter_map(|index| Some((tokens[index].at, begins(&tokens[index..])?)));
        starts.next().or_else(|| calls(tokens)).or_else(|| {
            let inner = tokens.iter().filter(|_| depth > 0);
            inner.into_iter().find_map(|token| in_text(token, depth - 1))
        })
    });
    found.map(|(within, rule)| (at + within, rule))
}

/// Whether a statement of PL/pgSQL may begin behind this token.
fn opens(token: &Token) -> bool {
    match &token.kind {
        Kind::Word(word) => matches!(word.as_str(), "begin" | "then" | "else" | "loop" | "atomic"),
        Kind::Symbol(symbol) => matches!(symbol, b';' | b'>'),
        _ => false,
    }
}

fn word(token: &Token) -> Option<&str> {
    match &token.kind {
        Kind::Word(word) => Some(word),
        _ => None,
    }
}

fn is_word(token: Option<&Token>, expected: &str) -> bool {
    token.and_then(word) == Some(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Option<usize> {
        let statements = lexer::split(sql).expect(sql);
        statements.iter().find_map(find).map(|(at, _)| lexer::line_at(sql, at))
    }

    #[test]
    fn what_makes_the_session_somebody_elses_is_found() {
        for sql in [
            "SET ROLE postgres",
            "set /* as */ local role none",
            "SET SESSION ROLE 'postgres'",
            "SET \"role\" TO postgres",
            "SET LOCAL \"Role\" = postgres",
            "SET U&\"r\\006fle\" = postgres",
            "SET role = postgres",
            "SET session_authorization = postgres",
            "SET SESSION AUTHORIZATION DEFAULT",
            "SET LOCAL SESSION AUTHORIZATION postgres",
            "SET SESSION SESSION AUTHORIZATION postgres",
            "RESET ROLE",
            "RESET \"ROLE\"",
            "RESET SESSION AUTHORIZATION",
            "RESET session_authorization",
            "RESET ALL",
            "DISCARD ALL",
            "SELECT set_config('role', 'postgres', false)",
            "SELECT pg_catalog.\"set_config\" ('ROLE', 'postgres', true)",
            "SELECT set_config($$role$$, 'postgres', false)",
            "SELECT set_config('role'::text, 'postgres', false)",
            "SELECT set_config('ro' || 'le', 'postgres', false)",
            "SELECT set_config('ro'\n'le', 'postgres', false)",
            "SELECT set_config(E'\\x72ole', 'postgres', false)",
            "SELECT set_config(setting_name => 'role', new_value => 'postgres', is_local => true)",
            "INSERT INTO t SELECT set_config('role', 'postgres', false)",
            "SELECT pg_advisory_unlock_all()",
            "ALTER DATABASE d SET role = 'postgres'",
            "ALTER ROLE r IN DATABASE d SET ROLE TO postgres",
            "DO $$ BEGIN SET LOCAL ROLE postgres; END $$",
            "DO LANGUAGE plpgsql 'BEGIN RESET ROLE; END'",
            "DO $$ BEGIN IF true THEN SET SESSION AUTHORIZATION x; END IF; END $$",
            "DO $$ <<a>> BEGIN PERFORM set_config('role', 'x', true); END $$",
            "DO $$ BEGIN EXECUTE 'SET ROLE postgres'; END $$",
            "DO $$ BEGIN EXECUTE format('SET ROLE %I', 'postgres'); END $$",
            "DO $a$ BEGIN EXECUTE $b$ SELECT 1; RESET ALL $b$; END $a$",
        ] {
            assert_eq!(found(sql), Some(1), "{sql}");
        }
    }

    #[test]
    fn it_is_named_by_its_line() {
        assert_eq!(found("SELECT 1;\n\nSET ROLE x"), Some(3));
        assert_eq!(found("SELECT 1;\nDO $$\nBEGIN\n  SET ROLE x;\nEND $$"), Some(4));
        assert_eq!(found("DO $$\nBEGIN\n  EXECUTE '\n SET ROLE x';\nEND $$"), Some(4));
        assert_eq!(found("SELECT 1,\n set_config('role', 'x', true)"), Some(2));
    }

    #[test]
    fn other_settings_and_columns_of_the_same_names_are_accepted() {
        for sql in [
            "SET search_path = a; SET LOCAL lock_timeout = '5s'; SET SESSION work_mem = '1GB'",
            "SET TIME ZONE 'UTC'; SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "RESET search_path; DISCARD PLANS; SET CONSTRAINTS ALL DEFERRED",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "UPDATE member SET role = 'owner'",
            "INSERT INTO m VALUES (1) ON CONFLICT (id) DO UPDATE SET role = excluded.role",
            "ALTER TABLE m ALTER COLUMN role SET DEFAULT 'x'; ALTER TABLE m ADD role text",
            "ALTER DATABASE d SET search_path = role",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql SET role = x AS 'RESET ALL'",
            "INSERT INTO help VALUES ('SET ROLE x'), ($$RESET ALL$$)",
            "DO $$ BEGIN UPDATE m SET role = 'x' WHERE role = 'y'; END $$",
            "DO $$ BEGIN EXECUTE 'UPDATE m SET role = 1'; RAISE NOTICE 'it''s \\ set'; END $$",
            "SELECT 1 AS set_config, (2)",
        ] {
            assert_eq!(found(sql), None, "{sql}");
        }
    }
}
