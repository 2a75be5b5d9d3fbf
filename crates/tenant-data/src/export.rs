//! All rows of a database out of it and into it again, whatever its tables.
//!
//! Invariants: every value is PostgreSQL's own text of it, so nothing is lost;
//! rows that are equal are told apart by their number, so none of them is;
//! putting back inserts and never changes or deletes. Names go into statements
//! only where the server quoted them.

use sqlx::AssertSqlSafe;
use tokio::time::timeout;

use crate::{Result, Session};

/// The values of a row.
pub type Values = Vec<Option<String>>;

/// A table, and how to read and fill it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns but for computed ones.
    pub columns: Vec<String>,
    /// The tables that its rows refer to, as `schema.name`.
    pub refers_to: Vec<String>,
    measure: String,
    select: String,
    insert: String,
    verify: String,
    /// Puts the sequences of its columns behind what is there.
    sequences: Vec<String>,
}

impl Table {
    /// `schema.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// What became of rows that were put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    /// They were missing.
    pub inserted: u64,
    /// They were there as they are given, or are now.
    pub there: u64,
}

/// The tables of a database but for ours and the server's, with the statements
/// made of their quoted names. A document's row is a list of texts. The size of
/// a row is 64, and 32 for each value besides its text.
const TABLES: &str = r#"
WITH columns AS (
    SELECT c.oid, n.nspname, c.relname, a.attnum, a.attname,
           row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) - 1 AS place,
           format_type(a.atttypid, a.atttypmod) AS type
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'yuantus_schema')
      AND n.nspname NOT LIKE 'pg\_%'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
), parts AS (
    SELECT oid, nspname, relname, format('%I.%I', nspname, relname) AS quoted,
           array_agg(attname::text ORDER BY attnum) AS names,
           string_agg(format('%I', attname), ', ' ORDER BY attnum) AS list,
           string_agg(format('t.%I::text', attname), ', ' ORDER BY attnum) AS texts,
           string_agg(format('(r->>%s)::%s', place, type), ', ' ORDER BY attnum) AS given,
           string_agg(format('((r->>%s)::%s)::text', place, type), ', ' ORDER BY attnum) AS same
    FROM columns GROUP BY oid, nspname, relname
), sides AS (
    SELECT *,
        format('(SELECT r, place, v, row_number() OVER (PARTITION BY v) AS n FROM (
            SELECT r, place, ARRAY[%s]::text[] COLLATE "C" AS v
            FROM json_array_elements($1::json) WITH ORDINALITY AS e (r, place)) e) g', same)
            AS wanted,
        format('(SELECT v, row_number() OVER (PARTITION BY v) AS n FROM (
            SELECT ARRAY[%s]::text[] COLLATE "C" AS v FROM %s t) e) h', texts, quoted) AS present
    FROM parts
)
SELECT nspname::text AS schema, relname::text AS name, names AS columns,
    format('SELECT coalesce(sum(64 + (SELECT sum(32 + coalesce(octet_length(v), 0))
            FROM unnest(ARRAY[%s]::text[]) AS u (v))), 0)::bigint
        FROM (SELECT * FROM %s LIMIT $1) t', texts, quoted) AS measure,
    format('SELECT ARRAY[%s]::text[] FROM %s t', texts, quoted) AS select,
    format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE
        SELECT %s FROM %s
        WHERE NOT EXISTS (SELECT FROM %s WHERE h.v = g.v AND h.n = g.n)
        ORDER BY g.place
        ON CONFLICT DO NOTHING', quoted, list, given, wanted, present) AS insert,
    format('SELECT count(*) FROM %s JOIN %s ON h.v = g.v AND h.n = g.n', wanted, present)
        AS verify,
    ARRAY(SELECT format('%s.%s', fn.nspname, f.relname)
        FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
        JOIN pg_namespace fn ON fn.oid = f.relnamespace
        WHERE k.conrelid = sides.oid AND k.contype = 'f' AND k.confrelid <> k.conrelid
    ) AS refers_to,
    ARRAY(SELECT format('SELECT setval(%L, greatest((SELECT max(%I) FROM %s),
            (SELECT last_value FROM %s)))', s.name, c.attname, quoted, s.name)
        FROM columns c, pg_get_serial_sequence(quoted, c.attname::text) AS s (name)
        WHERE c.oid = sides.oid AND s.name IS NOT NULL
          AND has_sequence_privilege(s.name, 'UPDATE')
    ) AS sequences
FROM sides ORDER BY nspname, relname
"#;

impl Session {
    /// Begins to read as if nobody wrote; [`Session::finish`] ends it.
    pub async fn begin_snapshot(&mut self) -> Result<()> {
        self.begin().await?;
        let sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        self.execute("begin snapshot", sql).await
    }

    /// The tables that an export has, those first that others refer to.
    pub async fn tables(&mut self) -> Result<Vec<Table>> {
        let (doing, limit) = ("list tables", self.limit());
        let answer = timeout(limit, sqlx::query_as(TABLES).fetch_all(self.start(doing)?)).await;
        Ok(in_order(self.end(doing, answer)?))
    }

    /// The size of a table's rows in memory, about; where it is more than
    /// `most`, something above that. In a snapshot it is that of what
    /// [`Session::rows`] reads.
    pub async fn measure(&mut self, table: &Table, most: usize) -> Result<usize> {
        // More rows than that are too many whatever is in them.
        let rows = i64::try_from(most / 64 + 1).unwrap_or(i64::MAX);
        let sql = AssertSqlSafe(table.measure.clone());
        let query = sqlx::query_scalar::<_, i64>(sql).bind(rows);
        let (doing, limit) = ("measure rows", self.limit());
        let answer = timeout(limit, query.fetch_one(self.start(doing)?)).await;
        Ok(usize::try_from(self.end(doing, answer)?).unwrap_or(usize::MAX))
    }

    /// All rows of a table; [`Session::measure`] says how large they are.
    pub async fn rows(&mut self, table: &Table) -> Result<Vec<Values>> {
        let query = sqlx::query_scalar(AssertSqlSafe(table.select.clone()));
        let (doing, limit) = ("export rows", self.limit());
        let answer = timeout(limit, query.fetch_all(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// Puts rows of a table back that are missing.
    pub async fn put_back(&mut self, table: &Table, rows: &str) -> Result<PutBack> {
        let query = sqlx::query(AssertSqlSafe(table.insert.clone())).bind(rows);
        let (doing, limit) = ("put rows back", self.limit());
        let answer = timeout(limit, query.execute(self.start(doing)?)).await;
        let inserted = self.end(doing, answer)?.rows_affected();
        let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(table.verify.clone())).bind(rows);
        let doing = "verify rows";
        let answer = timeout(limit, query.fetch_one(self.start(doing)?)).await;
        let there = self.end(doing, answer)?;
        for sequence in &table.sequences {
            self.execute("set sequence", sequence).await?;
        }
        Ok(PutBack { inserted, there: u64::try_from(there).unwrap_or(0) })
    }

    async fn execute(&mut self, doing: &'static str, sql: &str) -> Result<()> {
        let limit = self.limit();
        let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let answer = timeout(limit, query.execute(self.start(doing)?)).await;
        self.end(doing, answer).map(drop)
    }
}

/// Tables after those they refer to; in a circle, as they come.
fn in_order(mut tables: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let names: Vec<String> = tables.iter().map(Table::full_name).collect();
        let free = tables
            .iter()
            .position(|table| !table.refers_to.iter().any(|name| names.contains(name)));
        ordered.push(tables.remove(free.unwrap_or(0)));
    }
    ordered
}
