import Postgres

/// Who may write: the session that holds the leader's advisory lock, under the head's epoch.
package enum Leadership {
    /// Opens a connection as the sequencer uses it.
    package static func connect(_ conninfo: String) throws(PostgresError) -> Connection {
        let connection = try Connection(conninfo, applicationName: "ledger sequencer")
        // A host that vanished must not hold the leader's lock for hours: the server looks too.
        // Plans are made once and kept, when the log may still be empty: never a scan of it all. (Where
        // nothing but a scan is left, its cost on paper would have it compiled each time.)
        try connection.execute(
            """
            SET enable_seqscan = off;
            SET enable_bitmapscan = off;
            SET plan_cache_mode = force_generic_plan;
            SET jit = off;
            SET tcp_keepalives_idle = 5;
            SET tcp_keepalives_interval = 2;
            SET tcp_keepalives_count = 3;
            SET tcp_user_timeout = 10000;
            SET client_min_messages = warning
            """)
        return connection
    }

    /// Takes the leader's lock, unless another session has it.
    package static func tryLead(_ connection: Connection) throws(PostgresError) -> Bool {
        try connection.query("SELECT pg_try_advisory_lock(\(AdvisoryLock.leader))").bool(0, 0)
    }

    /// Refuses to write to a database that follows another ledger.
    package static func refuseFollower(_ connection: Connection) throws {
        let rows = try connection.query("SELECT url FROM ledger.origin WHERE promoted_at IS NULL")
        if rows.count > 0 { throw FollowerDatabaseError(source: rows.text(0, 0)) }
    }

    /// Says where the leader is reached; nil where it serves nobody.
    static func announce(
        _ url: String?, epoch: Int64, _ connection: Connection
    ) throws(PostgresError) {
        _ = try connection.query(
            """
            INSERT INTO ledger.leader (epoch, url) VALUES ($1, $2)
            ON CONFLICT (singleton) DO UPDATE
              SET epoch = excluded.epoch, url = excluded.url, since = now()
            """, [.int64(epoch), url.map { .text($0) } ?? .null])
    }

    /// Where the leader of an epoch is reached; nil where it has not said so.
    static func url(ofEpoch epoch: Int64, _ connection: Connection) throws(PostgresError) -> String?
    {
        let rows = try connection.query(
            "SELECT url FROM ledger.leader WHERE epoch = $1", [.int64(epoch)])
        return rows.count > 0 && !rows.isNull(0, 0) ? rows.text(0, 0) : nil
    }

    /// The last word of the leader's session, while PostgreSQL waits for its next one.
    struct LastWord: Equatable {
        let pid: Int32
        /// Differs from one word to the next; in a COPY each piece of data is one.
        let mark: String
    }

    /// The last word of whoever has the lock; nil while PostgreSQL works on one.
    static func lastWord(_ connection: Connection) throws(PostgresError) -> LastWord? {
        let rows = try connection.query(
            """
            SELECT a.pid, concat_ws(' ', a.state_change, c.bytes_processed)
              FROM pg_locks l
              JOIN pg_stat_activity a ON a.pid = l.pid
              LEFT JOIN pg_stat_progress_copy c ON c.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND l.classid::bigint = \(AdvisoryLock.leader >> 32)
               AND l.objid::bigint = \(AdvisoryLock.leader & 0xFFFF_FFFF)
               AND a.wait_event_type = 'Client'
            """)
        guard rows.count > 0 else { return nil }
        return LastWord(pid: rows.int32(0, 0), mark: rows.text(0, 1))
    }

    /// Ends a session that has fallen silent: its process stands still, or the network is cut, and
    /// neither would end it for hours.
    static func end(_ silent: LastWord, _ connection: Connection) throws(PostgresError) {
        _ = try connection.query("SELECT pg_terminate_backend($1)", [.int32(silent.pid)])
    }

    /// Returns once synchronous replicas, where there are any, hold all that was committed.
    ///
    /// A commit whose wait for them was broken off is in the database all the same, and would be
    /// lost with it; a later commit waits for them again, and they receive in order.
    static func waitForReplicas(_ connection: Connection) throws(PostgresError) {
        while true {
            let warnings = connection.warningCount
            try connection.execute("UPDATE ledger.head SET singleton = singleton")
            // Of this one's wait, which was broken off in its turn.
            if connection.warningCount == warnings { return }
        }
    }
}
