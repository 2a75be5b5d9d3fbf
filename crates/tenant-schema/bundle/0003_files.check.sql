SELECT array_agg(attname::text ORDER BY attnum)
     = ARRAY['id', 'filename', 'size', 'content_type', 'checksum', 'object_key', 'created_at',
             'created_by']
FROM pg_attribute
WHERE attrelid = to_regclass('files') AND attnum > 0 AND NOT attisdropped;

SELECT expected FROM (VALUES
    ('files_pkey'), ('files_filename_length'), ('files_size_positive'), ('files_checksum_sha256'),
    ('files_object_key_key')) AS names (expected)
EXCEPT
SELECT conname::text FROM pg_constraint WHERE conrelid = to_regclass('files');

SELECT expected FROM (VALUES ('files_created_at_idx'), ('files_checksum_idx')) AS names (expected)
EXCEPT
SELECT indexrelid::regclass::text FROM pg_index
WHERE indrelid = to_regclass('files') AND indisvalid;
