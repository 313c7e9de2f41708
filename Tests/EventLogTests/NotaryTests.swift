import Domain
import Glibc
import Postgres
import Proof
import Secrets
import TestSupport
import Testing

@testable import EventLog

/// A ledger's database and the directory with its key, across several lives of its leader.
private struct SignedLedger {
    let database: TestDatabase
    let directory: String
    var key: SigningKey

    init() throws {
        database = try TestDatabase()
        directory = try temporaryDirectory()
        key = try SigningKey()
    }

    var file: String { directory + "/signing.key.checkpoint" }

    /// Leads, appends, signs, and stops.
    @discardableResult
    func live(
        _ subjects: Range<Int>, replacesKey: Bool = false
    ) async throws -> StoredCheckpoint {
        let notary = database.notary(
            key: key, directory: directory, replacesKey: replacesKey)
        let log = try await onThread {
            try EventLog.lead(
                conninfo: database.conninfo, metrics: .init(), logger: .silent,
                admission: notary.admit)
        }
        notary.start(log)
        if subjects.lowerBound == 0 { try await log.createExperiment("HERO") }
        if !subjects.isEmpty { try await log.assign("HERO", subjects: subjects) }
        let checkpoint = try await notary.checkpoint(covering: log.view.position)
        await stop(notary, log)
        return checkpoint
    }

    private func stop(_ notary: Notary, _ log: EventLog) async {
        try? await onThread {
            notary.stop()
            log.stop()
        }
    }

    func remove() { removeTree(directory) }
}

@Suite(.timeLimit(.minutes(10))) struct NotaryTests {
    @Test func whatIsSignedIsKeptInTheDatabaseAndBesideTheKey() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let signed = try await ledger.live(0..<300)
        #expect(try PrivateFile(path: ledger.file).read() == signed.note)
        let note = try ledger.database.texts("SELECT note FROM ledger.checkpoint")
        #expect(note == [String(decoding: signed.note, as: UTF8.self)])
        let checkpoint = try Checkpoint(signed.note)
        try checkpoint.verify(ledger.key.verifierKey)
        #expect(checkpoint.size == signed.size && signed.leaves.count == Int(signed.size % 256))
        // The next leader goes on from there.
        #expect(try await ledger.live(300..<310).size == signed.size + 10)
    }

    @Test func anotherKeyIsRefusedUnlessItIsMeantToReplaceTheFirst() async throws {
        var ledger = try SignedLedger()
        defer { ledger.remove() }
        let first = try await ledger.live(0..<10)
        ledger.key = try SigningKey()
        let error = await #expect(throws: NotaryError.self) { try await ledger.live(10..<11) }
        #expect(error.map { "\($0)".contains(first.verifierKey) } == true)
        let second = try await ledger.live(10..<11, replacesKey: true)
        #expect(second.verifierKey == "\(ledger.key.verifierKey)")
        try await ledger.live(11..<12)
    }

    @Test func aTreeThatContradictsWhatWasSignedIsNotLed() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let signed = try await ledger.live(0..<600)
        // Whoever changes an event and recomputes every hash in the database is found out by the file.
        try ledger.database.tamper(
            """
            UPDATE ledger.events SET actor = 'x' WHERE position = 100;
            DELETE FROM ledger.tiles; DELETE FROM ledger.checkpoint
            """)
        try await onThread { try recomputeHead(ledger.database) }
        let error = await #expect(throws: NotaryError.self) { try await ledger.live(600..<601) }
        #expect(error.map { "\($0)".contains("first \(signed.size) events") } == true)
    }

    @Test func aDatabaseThatWasSetBackIsNotLed() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let signed = try await ledger.live(0..<20)
        try ledger.database.tamper(
            "DELETE FROM ledger.events WHERE position > 15; DELETE FROM ledger.checkpoint")
        try await onThread { try recomputeHead(ledger.database) }
        let error = await #expect(throws: NotaryError.self) { try await ledger.live(20..<21) }
        #expect(error.map { "\($0)".contains("\(signed.size) events") } == true)
    }

    @Test func aForgedCheckpointInTheDatabaseOrTheFileIsRefused() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let signed = try await ledger.live(0..<20)
        let forged = try Checkpoint(
            size: signed.size, root: MerkleFrontier().root,
            signedWith: SigningKey(name: ledger.key.verifierKey.name))
        let text = String(decoding: forged.bytes, as: UTF8.self)
        try ledger.database.execute("UPDATE ledger.checkpoint SET note = $n$\(text)$n$")
        await #expect(throws: NotaryError.self) { try await ledger.live(20..<21) }
        try ledger.database.execute("DELETE FROM ledger.checkpoint")
        try await ledger.live(20..<21)
        try PrivateFile(path: ledger.file).replace(with: forged.bytes)
        await #expect(throws: NotaryError.self) { try await ledger.live(21..<22) }
    }

    @Test func aLeaderWhoseLastEventsAreChangedUnderneathSignsNoMore() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let notary = ledger.database.notary(key: ledger.key, directory: ledger.directory)
        let log = try await onThread { try ledger.database.lead() }
        notary.start(log)
        try await log.createExperiment("HERO")
        _ = try await notary.checkpoint(covering: log.view.position)
        try ledger.database.tamper("UPDATE ledger.events SET actor = 'x' WHERE position = 2")
        try await log.assign("HERO", subjects: 0..<1)
        let size = log.view.position
        await #expect(throws: NotaryError.self) { try await notary.checkpoint(covering: size) }
        try await onThread {
            notary.stop()
            log.stop()
        }
    }

    @Test func aFileThatCanNotBeWrittenMeansNoCheckpoint() async throws {
        let ledger = try SignedLedger()
        defer { ledger.remove() }
        let notary = ledger.database.notary(key: ledger.key, directory: "/nowhere")
        let log = try await onThread { try ledger.database.lead() }
        notary.start(log)
        await #expect(throws: NotaryError.self) { try await notary.checkpoint(covering: 0) }
        try await onThread {
            notary.stop()
            log.stop()
        }
    }

    @Test func theKeyIsMadeOnceForItsOwnerAlone() throws {
        let directory = try temporaryDirectory()
        defer { removeTree(directory) }
        let path = directory + "/signing.key"
        let key = try SigningKeyFile.open(path, name: "example.com/log")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(try SigningKeyFile.open(path, name: nil).verifierKey == key.verifierKey)
        #expect(throws: NotaryError.self) { try SigningKeyFile.open(path, name: "other") }
        chmod(path, 0o644)
        #expect(throws: NotaryError.self) { try SigningKeyFile.open(path, name: nil) }
        #expect(throws: NotaryError.self) { try SigningKeyFile.open(directory, name: nil) }
    }
}

@Suite struct SigningScheduleTests {
    private let start = ContinuousClock.now

    @Test func theFirstIsSignedAtOnceAndTheNextASecondLater() {
        var schedule = SigningSchedule()
        #expect(schedule.step(head: 0, now: start) == .sign)
        schedule.tried(signed: 0, now: start)
        #expect(schedule.step(head: 0, now: start + .seconds(9)) == .rest)
        #expect(
            schedule.step(head: 1, now: start + .milliseconds(300)) == .wait(.milliseconds(700)))
        #expect(schedule.step(head: 1, now: start + .seconds(1)) == .sign)
    }

    @Test func whatFailedIsTriedAgainASecondLater() {
        var schedule = SigningSchedule()
        schedule.tried(signed: nil, now: start)
        #expect(schedule.step(head: 0, now: start) == .wait(.seconds(1)))
        #expect(schedule.step(head: 0, now: start + .seconds(1)) == .sign)
        schedule.forget()
        #expect(schedule.step(head: 0, now: start) == .sign)
    }
}

/// Makes the head fit whatever events there are.
func recomputeHead(_ database: TestDatabase) throws {
    let connection = try database.connect()
    defer { connection.close() }
    let count = try connection.query("SELECT max(position) FROM ledger.events").int64(0, 0)
    var tree = MerkleFrontier()
    try LogScan.leaves(after: 0, through: count, connection) { tree.append($1) }
    _ = try connection.query(
        """
        UPDATE ledger.head SET position = $1, frontier = $2,
               recorded_at = (SELECT max(recorded_at) FROM ledger.events)
        """, [.int64(count), .bytes(tree.bytes)])
}
