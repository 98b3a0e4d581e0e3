-- Answers to requests with an Idempotency-Key: the same request again is answered the same, and does nothing twice.
CREATE TABLE idempotent_requests (
    -- Who sent it; the nil UUID: whoever needs no key.
    caller uuid NOT NULL,
    idempotency_key text NOT NULL,
    request_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL,
    -- NULL: it is under way.
    status smallint,
    content_type text,
    body bytea,
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX idempotent_requests_created ON idempotent_requests (created_at);
