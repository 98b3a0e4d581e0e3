-- Which life of its alert something is told of: a reminder's number holds it, together with which reminder of that life it is.
ALTER TABLE notifications ADD COLUMN life integer NOT NULL
    GENERATED ALWAYS AS (CASE event WHEN 'reminded' THEN sequence / 10000 ELSE sequence END) STORED;
