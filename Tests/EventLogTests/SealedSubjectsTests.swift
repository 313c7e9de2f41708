import Crypto
import Domain
import JSON
import Proof
import Secrets
import TestSupport
import Testing

@testable import EventLog

@Suite struct SealedSubjectsTests {
    private let who = CommandContext(actor: "key/test")

    private func lead(_ database: TestDatabase, _ box: SecretBox) async throws -> EventLog {
        let log = try database.lead(secrets: box)
        if log.view.snapshot.state.experiments["SECRET"] == nil {
            try await log.apply(
                """
                {"schemaVersion":1,"kind":"experiment",
                 "metadata":{"id":"SECRET","status":"active"},
                 "spec":{"sealed":true,"variants":[{"id":"A","isControl":true},{"id":"B"}],"cohorts":
                  [{"index":1,"variants":[{"variant":"A","split":0.5},{"variant":"B","split":0.5}]}]}}
                """)
        }
        return log
    }

    private func erase(_ log: EventLog, _ subject: String) async throws -> Erasure {
        let answer = try await log.erase(subject, reason: nil, who, idempotency: nil)
        guard case .erased(let erasure) = answer else {
            throw CorruptLogError(description: "a repetition")
        }
        return erasure
    }

    private func erasures(_ log: EventLog) async throws -> [StoredEvent] {
        var filter = EventFilter()
        filter.types = ["SubjectErased"]
        return try await log.reader.events(
            after: 0, through: .max, limit: 1_000, matching: filter
        ).events
    }

    @Test func `keys are found again after a restart, and by another node`() async throws {
        let database = try TestDatabase()
        let box = SecretBox.ofTest()
        let first = try await lead(database, box)
        let subjects = (0..<200).map { "user-\($0)" }
        let before = try await first.assign("SECRET", subjects, context: who)
        let standby = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent, secrets: box)
        let read = try await standby.assignments(subjects.map { ("SECRET", $0) })
        #expect(read.answers.map(\.variant) == before.assignments.map(\.variant))
        standby.stop()
        first.stop()
        let second = try await lead(database, box)
        defer { second.stop() }
        let after = try await second.assign("SECRET", subjects, context: who)
        #expect(after.assignments.allSatisfy { $0.reason == .existing })
        #expect(after.assignments.map(\.subject) == subjects)
        #expect(try database.texts("SELECT count(*) FROM ledger.subject_keys") == ["200"])
    }

    @Test func `another key file is refused rather than finding nobody`() async throws {
        let database = try TestDatabase()
        let log = try await lead(database, .ofTest())
        _ = try await log.assign("SECRET", ["alice"], context: who)
        log.stop()
        #expect(throws: SubjectKeysError.otherKeyFile) {
            try database.lead(secrets: .ofTest())
        }
    }

    @Test func `a node with another key file than the leader's answers for nobody`() async throws {
        let database = try TestDatabase()
        let log = try await lead(database, .ofTest())
        defer { log.stop() }
        let other = try EventLog.open(
            conninfo: database.conninfo, metrics: .init(), logger: .silent, secrets: .ofTest())
        defer { other.stop() }
        _ = try await log.assign("SECRET", ["alice"], context: who)
        await #expect(throws: SubjectKeysError.otherKeyFile) {
            _ = try await other.assignments([("SECRET", "alice")])
        }
    }

    @Test func `a first assignment is decided once, also under one key`() async throws {
        let database = try TestDatabase()
        let log = try await lead(database, .ofTest())
        defer { log.stop() }
        let variants = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    try await log.assign("SECRET", ["alice"], context: who).assignments[0].variant
                }
            }
            return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(variants.count == 1)
        #expect(
            try database.texts(
                "SELECT count(*) FROM ledger.events WHERE type = 'AssignmentMade'") == ["1"])
        #expect(try database.texts("SELECT count(*) FROM ledger.subject_keys") == ["1"])
    }

    @Test func `an erasure that a crash cut short is completed, wherever it was`() async throws {
        let database = try TestDatabase()
        let box = SecretBox.ofTest()
        var log = try await lead(database, box)
        // After the mark, and after the event.
        for recorded in [false, true] {
            _ = try await log.assign("SECRET", ["alice"], context: who)
            let keys = try #require(log.subjectKeys)
            let begun = try #require(
                try await keys.beginErasing("alice", reason: "asked", actor: "key/admin"))
            if recorded {
                try await log.submit(
                    .erase(ErasureRequest(token: begun.token, reason: begun.reason)))
            }
            log.stop()
            log = try await lead(database, box)
            // Nobody gets the key meanwhile.
            await #expect(throws: SubjectKeysError.beingErased) {
                try await log.assign("SECRET", ["alice"], context: who)
            }
            #expect(try await log.completeErasures() == 0)
            try database.execute(
                "UPDATE ledger.subject_keys SET erasing_at = erasing_at - interval '1 minute'")
            #expect(try await log.completeErasures() == 1)
            #expect(try database.texts("SELECT token FROM ledger.subject_keys") == [])
            let events = try await erasures(log)
            #expect(events.last?.stream == StreamName.subject(begun.token))
            #expect(events.last?.version == 1)
        }
        #expect(try await erasures(log).count == 2)
        log.stop()
    }

    @Test func `whoever asks to erase again meanwhile gets the same erasure`() async throws {
        let database = try TestDatabase()
        let log = try await lead(database, .ofTest())
        defer { log.stop() }
        _ = try await log.assign("SECRET", ["alice"], context: who)
        let positions = try await withThrowingTaskGroup(of: Int64?.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    do { return try await erase(log, "alice").position } catch let error as Refusal
                    {
                        #expect(error.kind == .notFound)
                        return nil
                    }
                }
            }
            return try await group.reduce(into: Set<Int64>()) { all, one in
                if let one { all.insert(one) }
            }
        }
        #expect(positions.count == 1)
        #expect(try await erasures(log).count == 1)
    }

    @Test func `nothing is recorded under a key once its erasure is`() async throws {
        let database = try TestDatabase()
        let log = try await lead(database, .ofTest())
        defer { log.stop() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<4 {
                group.addTask {
                    for number in 0..<60 {
                        var context = CommandContext(actor: "key/\(client)")
                        context.idempotency = .init(
                            key: "\(number)", request: Digest(SHA256.hash(data: [UInt8(number)]))
                        ) { receipt in
                            JSONValue.array(receipt.assignments.map { .string($0.subject) })
                                .encoded
                        }
                        do {
                            _ = try await log.assign(
                                "SECRET", ["subject-\(number % 3)"], context: context)
                        } catch SubjectKeysError.beingErased { continue }
                    }
                }
            }
            group.addTask {
                for number in 0..<30 {
                    do { _ = try await erase(log, "subject-\(number % 3)") } catch let error
                        as Refusal
                    { #expect(error.kind == .notFound) }
                }
            }
            try await group.waitForAll()
        }
        for number in 0..<3 {
            do { _ = try await erase(log, "subject-\(number)") } catch let error as Refusal {
                #expect(error.kind == .notFound)
            }
        }
        let erased = try await erasures(log)
        #expect(erased.count > 3)
        // Of each token the erasure is the last event, and no token lacks one.
        #expect(
            try database.texts(
                """
                SELECT stream FROM ledger.events a WHERE type = 'AssignmentMade'
                   AND NOT EXISTS (SELECT FROM ledger.events e
                                    WHERE e.stream = 'subject/' || split_part(a.stream, '/', 3)
                                      AND e.position > a.position)
                """) == [])
        #expect(
            try database.texts(
                "SELECT key FROM ledger.idempotency WHERE encode(answer, 'escape') LIKE '%subject-%'"
            ) == [])
        #expect(try database.texts("SELECT token FROM ledger.subject_keys") == [])
    }

    // MARK: Cryptography

    @Test func `a ciphertext opens with its own key, token and use alone`() throws {
        let (key, other) = (SubjectKey(), SubjectKey())
        for subject in ["a", String(repeating: "x", count: 32), "\u{E9}/%\u{1F600}"] {
            let token = key.token(of: subject)
            #expect(token == key.token(of: subject) && token != other.token(of: subject))
            let sealed = try key.seal(subject: subject, token)
            #expect(try key.seal(subject: subject, token) == sealed)
            #expect(key.open(subject: sealed, token) == subject)
            #expect(other.open(subject: sealed, token) == nil)
            #expect(key.open(subject: sealed, "sealed-other") == nil)
            let metadata = try key.seal(Array(subject.utf8), .metadata, token)
            #expect(key.open(subject: metadata, token) == nil)
        }
        // Lengths say little.
        #expect(
            try key.seal(subject: "a", "t").count == key.seal(subject: "a longer name", "t").count)
    }

    @Test func `a wrapped key opens in its own row alone`() throws {
        let ring = SubjectKeyring(.ofTest())
        let wrapped = try ring.wrap(SubjectKey().bytes, for: ring.lookup("alice"))
        #expect(try ring.unwrap(wrapped, for: ring.lookup("alice")).count == 32)
        #expect(throws: SubjectKeysError.damaged) {
            try ring.unwrap(wrapped, for: ring.lookup("bob"))
        }
        #expect(throws: SubjectKeysError.otherKeyFile) {
            try SubjectKeyring(.ofTest()).unwrap(wrapped, for: ring.lookup("alice"))
        }
    }
}
