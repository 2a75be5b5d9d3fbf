-- The org's files: what is known of them. Their bytes are in S3.
CREATE TABLE files (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    filename     text        NOT NULL,
    size         bigint      NOT NULL,
    content_type text        NOT NULL DEFAULT 'application/octet-stream',
    checksum     text        NOT NULL,
    object_key   text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text,
    CONSTRAINT files_filename_length CHECK (length(filename) BETWEEN 1 AND 255),
    CONSTRAINT files_size_positive CHECK (size >= 0),
    CONSTRAINT files_checksum_sha256 CHECK (checksum ~ '^[0-9a-f]{64}$'),
    CONSTRAINT files_object_key_key UNIQUE (object_key)
);

CREATE INDEX files_created_at_idx ON files (created_at, id);
CREATE INDEX files_checksum_idx ON files (checksum);
