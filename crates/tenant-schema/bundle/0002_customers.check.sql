SELECT array_agg(attname::text ORDER BY attnum)
     = ARRAY['id', 'name', 'email', 'phone', 'notes', 'created_at', 'updated_at']
FROM pg_attribute
WHERE attrelid = to_regclass('customers') AND attnum > 0 AND NOT attisdropped;

SELECT expected FROM (VALUES
    ('customers_pkey'), ('customers_name_length'), ('customers_email_form'),
    ('customers_phone_length')) AS names (expected)
EXCEPT
SELECT conname::text FROM pg_constraint WHERE conrelid = to_regclass('customers');

SELECT expected FROM (VALUES
    ('customers_email_key'), ('customers_name_idx'), ('customers_created_at_idx')
) AS names (expected)
EXCEPT
SELECT indexrelid::regclass::text FROM pg_index
WHERE indrelid = to_regclass('customers') AND indisvalid;

SELECT count(*) = 1 FROM pg_trigger
WHERE tgrelid = to_regclass('customers') AND tgname = 'customers_touch';
