-- The org's customers.
CREATE TABLE customers (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text        NOT NULL,
    email      text,
    phone      text,
    notes      text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT customers_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT customers_email_form CHECK (email LIKE '_%@_%' AND length(email) <= 320),
    CONSTRAINT customers_phone_length CHECK (length(phone) BETWEEN 1 AND 50)
);

-- One customer an address, however it is written.
CREATE UNIQUE INDEX customers_email_key ON customers (lower(email));
CREATE INDEX customers_name_idx ON customers (lower(name), id);
CREATE INDEX customers_created_at_idx ON customers (created_at, id);

CREATE TRIGGER customers_touch BEFORE UPDATE ON customers
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
