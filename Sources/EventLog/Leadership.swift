import Postgres

/// Who may write: the session that holds the leader's advisory lock, under the head's epoch.
enum Leadership {
    /// Opens a connection as the sequencer uses it.
    static func connect(_ conninfo: String) throws(PostgresError) -> Connection {
        let connection = try Connection(conninfo, applicationName: "ledger sequencer")
        // A host that vanished must not hold the leader's lock for hours: the server looks too.
        // Plans are made once and kept, when the log may still be empty: never a scan of it all.
        try connection.execute(
            """
            SET enable_seqscan = off;
            SET enable_bitmapscan = off;
            SET plan_cache_mode = force_generic_plan;
            SET tcp_keepalives_idle = 10;
            SET tcp_keepalives_interval = 5;
            SET tcp_keepalives_count = 4;
            SET tcp_user_timeout = 30000;
            SET client_min_messages = warning
            """)
        return connection
    }

    static func tryLead(_ connection: Connection) throws(PostgresError) -> Bool {
        try connection.query("SELECT pg_try_advisory_lock(\(AdvisoryLock.leader))").bool(0, 0)
    }
}
