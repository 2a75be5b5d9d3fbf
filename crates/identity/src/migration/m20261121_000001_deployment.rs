//! `deployment`: one row, whose `plane` is the id this control plane signs
//! the databases it makes with. Nothing without it is ever dropped.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE deployment (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    plane      uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO deployment DEFAULT VALUES;
";

const DOWN: &str = "DROP TABLE deployment;";

super::migration!("m20261121_000001_deployment", UP, DOWN);
