import Crypto
import Domain
import JSON
import Postgres
import Proof
import Secrets
import Synchronization

/// The keys of sealed subjects, in `ledger.subject_keys`, outside the log.
///
/// A row is there, committed, before anything is recorded under its token. Keys are remembered for
/// seconds only, and not past the next erasure that this node hears of; a seal says up to which
/// erasure it is good, and the decider refuses one that is older than the last.
package final class SubjectKeys: Sendable {
    /// A subject's key, and what the log calls the subject.
    struct Entry: Sendable {
        let key: SubjectKey
        let token: String
        /// The subject's ID, sealed.
        let ciphertext: String
        /// The last erasure that was known before the key was looked up.
        let position: Int64
        let lookedUp: ContinuousClock.Instant

        var seal: Seal { Seal(token: token, ciphertext: ciphertext, position: position) }
    }

    private struct Cache {
        var young: [ExactText: Entry] = [:]
        var old: [ExactText: Entry] = [:]
        /// The last erasure known; entries from before it are of no use.
        var position: Int64 = 0

        mutating func moved(to position: Int64) {
            if position != self.position { self = Cache(position: position) }
        }

        mutating func insert(_ subject: String, _ entry: Entry) {
            if young.count >= Limits.subjectKeyCacheEntriesMax / 2 {
                old = young
                young = [:]
            }
            young[ExactText(subject)] = entry
        }

        mutating func forget(_ subject: String) {
            young[ExactText(subject)] = nil
            old[ExactText(subject)] = nil
        }
    }

    private let ring: SubjectKeyring
    private let pool: ConnectionPool
    private let cache = Mutex(Cache())

    init(_ box: SecretBox, pool: ConnectionPool) {
        ring = SubjectKeyring(box)
        self.pool = pool
    }

    /// Refuses keys of another key file: every subject would look new.
    static func check(_ box: SecretBox, _ connection: Connection) throws {
        try check(SubjectKeyring(box), connection)
    }

    private static func check(_ ring: SubjectKeyring, _ connection: Connection) throws {
        let rows = try connection.query("SELECT key FROM ledger.subject_keys LIMIT 1")
        if rows.count > 0, !rows.bytes(0, 0).starts(with: ring.header) {
            throw SubjectKeysError.otherKeyFile
        }
    }

    // MARK: Looking up

    /// The entries of these subjects, as far as they have a key; with `making` all get one.
    ///
    /// - Parameter position: The last erasure that is known.
    func entries(
        of subjects: [String], making: Bool, erasedPosition position: Int64
    ) async throws -> [ExactText: Entry] {
        var found: [ExactText: Entry] = [:]
        let oldest = ContinuousClock.now - .seconds(Limits.subjectKeySecondsMax)
        let missing = cache.withLock { cache in
            cache.moved(to: position)
            var missing: Set<ExactText> = []
            for subject in subjects where isValidSubject(subject) {
                let text = ExactText(subject)
                if let entry = cache.young[text] ?? cache.old[text], entry.position == position,
                    entry.lookedUp > oldest
                {
                    found[text] = entry
                } else {
                    missing.insert(text)
                }
            }
            return missing
        }
        guard !missing.isEmpty else { return found }
        let names = missing.map(\.text)
        let ring = ring
        let entries = try await pool.run(readOnly: !making) { connection in
            try Self.entries(of: names, making: making, position, ring, connection)
        }
        cache.withLock { cache in
            for (subject, entry) in entries { cache.insert(subject, entry) }
        }
        for (subject, entry) in entries { found[ExactText(subject)] = entry }
        return found
    }

    private static func entries(
        of subjects: [String], making: Bool, _ position: Int64, _ ring: SubjectKeyring,
        _ connection: Connection
    ) throws -> [(String, Entry)] {
        let lookups = subjects.map { ring.lookup($0) }
        var keys = try select(lookups, ring, connection)
        var missing = subjects.indices.filter { keys[lookups[$0]] == nil }
        // Another node may have made keys with another file since this one started.
        if !missing.isEmpty { try check(ring, connection) }
        if making, !missing.isEmpty {
            try insert(missing.map { (subjects[$0], lookups[$0]) }, ring, connection)
            // What is there counts, which another node may have made at the same time.
            keys.merge(try select(missing.map { lookups[$0] }, ring, connection)) { $1 }
            missing = missing.filter { keys[lookups[$0]] == nil }
            guard missing.isEmpty else { throw SubjectKeysError.beingErased }
        }
        let now = ContinuousClock.now
        return try subjects.indices.compactMap { index in
            guard let key = keys[lookups[index]] else { return nil }
            let subject = subjects[index]
            let token = key.token(of: subject)
            return (
                subject,
                Entry(
                    key: key, token: token, ciphertext: try key.seal(subject: subject, token),
                    position: position, lookedUp: now)
            )
        }
    }

    private static func select(
        _ lookups: [[UInt8]], _ ring: SubjectKeyring, _ connection: Connection
    ) throws -> [[UInt8]: SubjectKey] {
        var wanted = BinaryArray(.bytes, capacity: lookups.count)
        for lookup in lookups { wanted.append(bytes: lookup) }
        let rows = try connection.query(
            """
            SELECT lookup, key, erasing IS NOT NULL FROM ledger.subject_keys
             WHERE lookup = ANY ($1::bytea[])
            """, [.array(wanted)])
        var keys: [[UInt8]: SubjectKey] = [:]
        for row in 0..<rows.count {
            guard !rows.bool(row, 2) else { throw SubjectKeysError.beingErased }
            let lookup = rows.bytes(row, 0)
            keys[lookup] = SubjectKey(bytes: try ring.unwrap(rows.bytes(row, 1), for: lookup))
        }
        return keys
    }

    private static func insert(
        _ subjects: [(subject: String, lookup: [UInt8])], _ ring: SubjectKeyring,
        _ connection: Connection
    ) throws {
        var lookups = BinaryArray(.bytes, capacity: subjects.count)
        var tokens = BinaryArray(.text, capacity: subjects.count)
        var keys = BinaryArray(.bytes, capacity: subjects.count)
        // In one order on all nodes, so that none waits for another that waits for it.
        let sorted = subjects.sorted { $0.lookup.lexicographicallyPrecedes($1.lookup) }
        for (subject, lookup) in sorted {
            let key = SubjectKey()
            lookups.append(bytes: lookup)
            tokens.append(text: key.token(of: subject))
            keys.append(bytes: try ring.wrap(key.bytes, for: lookup))
        }
        _ = try connection.query(
            """
            INSERT INTO ledger.subject_keys (lookup, token, key)
            SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[])
            ON CONFLICT (lookup) DO NOTHING
            """, [.array(lookups), .array(tokens), .array(keys)])
    }

    /// The IDs of subjects, of those that have their key still.
    ///
    /// - Parameter sealed: Tokens, and what the log holds of them.
    func open(_ sealed: [(token: String, ciphertext: String)]) async throws -> [String: String] {
        let ring = ring
        return try await pool.run { connection in
            let rows = try connection.query(
                """
                SELECT token, lookup, key FROM ledger.subject_keys
                 WHERE token = ANY ($1::text[]) AND erasing IS NULL
                """, [.array(BinaryArray(texts: sealed.map(\.token)))])
            var keys: [String: SubjectKey] = [:]
            for row in 0..<rows.count {
                keys[rows.text(row, 0)] = SubjectKey(
                    bytes: try ring.unwrap(rows.bytes(row, 2), for: rows.bytes(row, 1)))
            }
            var opened: [String: String] = [:]
            for (token, ciphertext) in sealed {
                opened[token] = keys[token]?.open(subject: ciphertext, token)
            }
            return opened
        }
    }

    // MARK: Erasing

    /// An erasure that was begun.
    struct Begun: Sendable {
        let subject: String
        let token: String
        let reason: String?
        /// Who began it.
        let actor: String
    }

    /// Gives the subject's key to nobody any more, and keeps what is needed to go on after a crash.
    ///
    /// - Returns: what was begun first; nil where the subject has no key.
    func beginErasing(
        _ subject: String, reason: String?, actor: String
    ) async throws -> Begun? {
        guard isValidSubject(subject) else { return nil }
        let ring = ring
        let begun = try await pool.run(readOnly: false) { connection -> Begun? in
            let lookup = ring.lookup(subject)
            let note = try ring.wrap(Self.note(subject, reason, actor), for: lookup)
            let rows = try connection.query(
                """
                UPDATE ledger.subject_keys
                   SET erasing = coalesce(erasing, $2), erasing_at = coalesce(erasing_at, now())
                 WHERE lookup = $1 RETURNING lookup, token, erasing
                """, [.bytes(lookup), .bytes(note)])
            return try Self.begun(rows, ring).first
        }
        cache.withLock { $0.forget(subject) }
        return begun
    }

    /// Erasures that were begun a while ago, and not completed.
    func abandonedErasures() async throws -> [Begun] {
        let ring = ring
        return try await pool.run { connection in
            let rows = try connection.query(
                """
                SELECT lookup, token, erasing FROM ledger.subject_keys
                 WHERE erasing IS NOT NULL
                   AND erasing_at < now() - make_interval(secs => \(Limits.erasureSecondsMax))
                 LIMIT 1000
                """)
            return try Self.begun(rows, ring)
        }
    }

    private static func note(
        _ subject: String, _ reason: String?, _ actor: String
    ) -> [UInt8] {
        JSONValue.object([
            .init("subject", .string(subject)), .init("actor", .string(actor)),
            .init("reason", reason.map { .string($0) } ?? .null),
        ]).encoded
    }

    private static func begun(_ rows: Rows, _ ring: SubjectKeyring) throws -> [Begun] {
        try (0..<rows.count).map { row in
            let note = try JSONValue.parse(
                try ring.unwrap(rows.bytes(row, 2), for: rows.bytes(row, 0)))
            guard let subject = note["subject"]?.string, let actor = note["actor"]?.string else {
                throw SubjectKeysError.damaged
            }
            return Begun(
                subject: subject, token: rows.text(row, 1), reason: note["reason"]?.string,
                actor: actor)
        }
    }

    /// Destroys the key, and the answers kept for requests that named the subject.
    ///
    /// - Parameter own: The key under which the answer to the erasure itself is kept.
    func destroy(_ subject: String, _ token: String, sparing own: String?) async throws {
        let ring = ring
        try await pool.run(readOnly: false) { connection in
            try connection.execute("BEGIN")
            try Self.forgetAnswers(naming: subject, token, sparing: own, connection)
            _ = try connection.query(
                "DELETE FROM ledger.subject_keys WHERE lookup = $1 AND token = $2",
                [.bytes(ring.lookup(subject)), .text(token)])
            try connection.execute("COMMIT")
        }
        cache.withLock { $0.forget(subject) }
    }

    /// Deletes the answers kept for requests that named a subject; of one without a key there may be
    /// some too, of experiments that gave no variants then.
    func forgetAnswers(naming subject: String) async throws {
        try await pool.run(readOnly: false) { connection in
            try Self.forgetAnswers(naming: subject, nil, sparing: nil, connection)
        }
    }

    /// Bytes of an ID from which on it is taken to be meant where a client's idempotency key has it.
    private static let tellingBytesMin = 8

    /// Answers hold the ID as a JSON string, and those to scores the stream that ends in the token;
    /// some hold neither, but clients like to make their keys of what they ask for.
    private static func forgetAnswers(
        naming subject: String, _ token: String?, sparing own: String?, _ connection: Connection
    ) throws {
        let name = JSONValue.string(subject).encoded
        let stream = token.map { Array("/\($0)\"".utf8) } ?? name
        _ = try connection.query(
            """
            DELETE FROM ledger.idempotency
             WHERE key LIKE 'key/%' AND key <> $3
               AND (position($1::bytea IN answer) > 0 OR position($2::bytea IN answer) > 0
                    OR octet_length($4) >= \(tellingBytesMin) AND position($4 IN key) > 0)
            """, [.bytes(name), .bytes(stream), .text(own ?? ""), .text(subject)])
    }

    /// What a request to erase a subject is recognised by when it comes again: no hash of the ID that
    /// could be found by trying.
    func requestDigest(of subject: String, reason: String?) -> Digest {
        Digest(SHA256.hash(data: ring.lookup(subject) + Array((reason ?? "").utf8)))
    }

    /// A request's digest, keyed for the same reason.
    func keyed(_ digest: Digest) -> Digest { ring.keyed(digest) }
}
