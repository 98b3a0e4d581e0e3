-- A delivery is a message on one channel, of one notification or of many. It keeps its id at each attempt, so that a
-- receiver can tell a repetition.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    channel text NOT NULL,
    -- What is told together; NULL: everything that waited, in one digest.
    group_key text,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- Claimed, or failed: not to be tried before.
    not_before timestamptz NOT NULL,
    -- Whoever has claimed it last: a late answer of another changes nothing.
    claim uuid,
    last_error text,
    delivered_at timestamptz,
    -- Given up for good, or taken apart to be told with what has come since.
    failed_at timestamptz,
    taken_apart_at timestamptz,
    -- What the receiver calls it, such as the `ts` of Slack.
    receipt text
);
CREATE INDEX deliveries_waiting ON deliveries (channel, created_at)
    WHERE delivered_at IS NULL AND failed_at IS NULL AND taken_apart_at IS NULL;
CREATE INDEX deliveries_of_channel ON deliveries (channel, created_at DESC);

ALTER TABLE notifications
    -- The same event of one alert, again: a reminder, a return.
    ADD COLUMN sequence integer NOT NULL DEFAULT 0,
    ADD COLUMN group_key text NOT NULL DEFAULT '',
    -- Nothing more of a group is told before so long after its last message.
    ADD COLUMN group_interval_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN delivery_id uuid REFERENCES deliveries (id) ON DELETE SET NULL,
    -- Why it waits, where it is muted.
    ADD COLUMN held_by text,
    -- Not told, because the alert was over before the mute was.
    ADD COLUMN suppressed_at timestamptz,
    DROP CONSTRAINT notifications_event_check,
    ADD CONSTRAINT notifications_event_check
        CHECK (event IN ('raised', 'reopened', 'flapping', 'reminded', 'escalated', 'resolved')),
    DROP CONSTRAINT notifications_alert_id_event_channel_key,
    ADD CONSTRAINT notifications_once UNIQUE (alert_id, event, sequence, channel);

DROP INDEX notifications_waiting;
CREATE INDEX notifications_waiting ON notifications (channel, not_before)
    WHERE delivery_id IS NULL AND delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL;
CREATE INDEX notifications_of_delivery ON notifications (delivery_id);

-- Whether a channel takes what is sent.
CREATE TABLE channel_states (
    channel text PRIMARY KEY,
    -- Attempts that failed since the last that did not.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    not_before timestamptz,
    last_error text,
    last_delivered_at timestamptz
);
