-- Which library tells of a call, by a hash of its name. SQLAlchemy tells of a query and psycopg2 of the same one, and
-- neither span is the other's parent.
ALTER TABLE database_spans ADD COLUMN scope_key integer NOT NULL DEFAULT 0;
