SELECT array_agg(attname::text ORDER BY attnum) = ARRAY['key', 'value', 'updated_at']
FROM pg_attribute
WHERE attrelid = to_regclass('settings') AND attnum > 0 AND NOT attisdropped;

SELECT expected FROM (VALUES ('settings_pkey'), ('settings_key_length')) AS names (expected)
EXCEPT
SELECT conname::text FROM pg_constraint WHERE conrelid = to_regclass('settings');

SELECT count(*) = 1 FROM pg_trigger
WHERE tgrelid = to_regclass('settings') AND tgname = 'settings_touch';
