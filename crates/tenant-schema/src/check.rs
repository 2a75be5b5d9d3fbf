//! Runs `.check.sql` twins. Each statement of one must answer no row, or one
//! row of one boolean, true. A check changes nothing: it runs read-only.

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Either, Executor, PgConnection, Row, postgres::PgRow};
use yuantus_domain::DatabaseName;

use crate::{
    Error, Migration, Result,
    lexer::{self, line_at},
    run::error_line,
    server_error::Cause,
};

/// What one statement answered.
#[derive(Default)]
struct Answer {
    rows: usize,
    verdict: Option<String>,
}

impl Answer {
    fn add(&mut self, row: &PgRow) {
        self.rows += 1;
        let single = row.len() == 1;
        self.verdict = single.then(|| row.try_get_raw(0).ok()).flatten().map(|value| {
            use sqlx::ValueRef;
            if value.is_null() { "null".into() } else { value.as_str().unwrap_or("?").to_owned() }
        });
    }

    /// What is wrong with it.
    fn objection(&self) -> Option<String> {
        match (self.rows, self.verdict.as_deref()) {
            (0, _) | (1, Some("t")) => None,
            (1, Some("f")) => Some("it answered false".to_owned()),
            (1, Some("null")) => Some("it answered null".to_owned()),
            (1, _) => Some("it answered a row".to_owned()),
            (rows, _) => Some(format!("it answered {rows} rows")),
        }
    }
}

/// Runs the check of `migration`, if it has one, within the transaction that
/// `connection` is in.
pub(crate) async fn run(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
) -> Result<()> {
    let Some(sql) = &migration.check_sql else {
        return Ok(());
    };
    let file = migration.check_file();
    let answers = match answers(connection, sql).await {
        Ok(answers) => answers,
        Err((before, source)) => {
            let line = error_line(sql, before, &source);
            return Err(Error::RunCheck { file, line, database: database.clone(), source });
        }
    };
    let lines = lexer::split(sql).unwrap_or_default();
    for (index, answer) in answers.iter().enumerate() {
        if let Some(found) = answer.objection() {
            let line = lines.get(index).map_or(1, |statement| line_at(sql, statement.start));
            return Err(Error::CheckFailed { file, line, database: database.clone(), found });
        }
    }
    Ok(())
}

/// The answers of all statements, or how many there were before the failure.
async fn answers(connection: &mut PgConnection, sql: &str) -> Result<Vec<Answer>, (usize, Cause)> {
    let guard = |error: sqlx::Error| (0, Cause::from(error));
    let begin = "SAVEPOINT yuantus_check; SET LOCAL transaction_read_only = on";
    connection.execute(begin).await.map_err(guard)?;
    let (mut answers, mut current) = (Vec::new(), Answer::default());
    let mut results = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_many(&mut *connection);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(_))) => answers.push(std::mem::take(&mut current)),
            Ok(Some(Either::Right(row))) => current.add(&row),
            Ok(None) => break,
            Err(error) => return Err((answers.len(), error.into())),
        }
    }
    drop(results);
    connection.execute("ROLLBACK TO SAVEPOINT yuantus_check").await.map_err(guard)?;
    Ok(answers)
}
