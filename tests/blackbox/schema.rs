//! The identity database's schema, up and down.

use sqlx::PgConnection;
use yuantus_identity::{connect, migration};
use yuantus_test_support::TestEnv;

/// What is there but the migrations' own record: columns, constraints,
/// indexes, functions and triggers.
const SCHEMA: &str = "
    SELECT concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname,
        pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> 'seaql_migrations'::regclass
    UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'
    UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(oid)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'sequence', sequencename) FROM pg_sequences
    WHERE schemaname = 'public'
    ORDER BY 1";

async fn schema(identity: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(SCHEMA).fetch_all(identity).await.expect("schema")
}

#[tokio::test]
async fn every_migration_can_be_reverted_and_applied_again() {
    let env = TestEnv::start().await;
    let mut identity = env.identity().await;
    let db = connect(&env.database_url("yuantus_identity"), 2, "test").expect("pool");
    let all = migration::history(&db).await.expect("history").len();
    let whole = schema(&mut identity).await;
    assert!(whole.len() > 100, "{whole:?}");
    for steps in 1..=all {
        let steps = u32::try_from(steps).expect("number");
        let reverted = migration::downgrade(&db, steps).await.expect("downgrade");
        assert_eq!(reverted.len(), steps as usize);
        if reverted.len() == all {
            assert_eq!(schema(&mut identity).await, Vec::<String>::new());
        }
        let applied = migration::upgrade(&db).await.expect("upgrade");
        assert!(applied.iter().eq(reverted.iter().rev()), "{applied:?}");
        assert_eq!(schema(&mut identity).await, whole, "after {steps}");
    }
    env.api().await.create_tenant("acme").await;
}
