-- Who looks at a service just now: runs of the health check may overlap, and a service that hangs holds up no other.
CREATE TABLE service_check_claims (
    service text PRIMARY KEY,
    until timestamptz NOT NULL
);
