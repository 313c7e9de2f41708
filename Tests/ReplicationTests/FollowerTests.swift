import Domain
import EventLog
import JSON
import Postgres
import Proof
import SeededRandomness
import TestSupport
import Testing

@testable import Replication

@Suite("A follower", .timeLimit(.minutes(10)))
struct FollowerTests {
    private let key: SigningKey

    init() throws { key = try SigningKey() }

    private static func record(_ log: EventLog, _ generator: inout SeededGenerator) async throws {
        for id in ["ONE", "TWO", "THREE"] as [ResourceID] { try await log.createExperiment(id) }
        try await log.assign("ONE", subjects: 0..<600)
        for _ in 0..<200 {
            let command = RandomUnits.command(&generator)
            _ = try? await log.submit(command)
        }
    }

    @Test("holds the source's lines at the same positions, proven, and serves them as it does")
    func copy() async throws {
        var generator = SeededGenerator()
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await Self.record(leader.log, &generator)
        let copy = try await TestNode.following(leader.url, in: try TestDatabase())
        await copy.catchUp(with: leader)
        try await Self.record(leader.log, &generator)
        await copy.catchUp(with: leader)
        #expect(try copy.lines() == leader.lines())
        #expect(copy.log.view.head.frontier == leader.log.view.head.frontier)
        #expect(copy.log.view.snapshot.state == leader.log.view.snapshot.state)
        for path in ["/v1/experiments/ONE", "/v1/log/root", "/v1/log/checkpoint", "/v1/log/key"] {
            let (own, its) = (try await copy.get(path), try await leader.get(path))
            #expect(own.status == 200 && own == its, "\(path)")
        }
        let status = try await copy.get("/v1/replication").json
        #expect(status["role"] == "follower" && status["state"] == "live")
        #expect(status["verifiedPosition"]?.integer == leader.log.view.position)
        #expect(try await leader.get("/v1/replication").json["role"] == "leader")
        #expect(try await copy.get("/readyz").json["role"] == "follower")
        try await copy.stop()
        try await leader.stop()
    }

    @Test("can be followed in turn, by those who trust the first source's key")
    func chain() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        let first = try await TestNode.following(leader.url, in: try TestDatabase())
        await first.catchUp(with: leader)
        let second = try await TestNode.following(
            first.url, in: try TestDatabase(), trusted: key.verifierKey)
        try await leader.log.assign("HERO", subjects: 0..<1_000)
        await first.catchUp(with: leader)
        await second.catchUp(with: leader)
        #expect(try second.lines() == leader.lines())
        for node in [second, first, leader] { try await node.stop() }
    }

    @Test("answers who has a variant, and refuses what it would have to record")
    func refusal() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        try await leader.log.assign("HERO", subjects: 0..<10)
        let copy = try await TestNode.following(leader.url, in: try TestDatabase())
        await copy.catchUp(with: leader)
        // More in vain than after which a node asks its leader without looking.
        for number in 0..<20 {
            let new = try? await copy.log.assign(
                "HERO", ["new_\(number)"], context: CommandContext(actor: "key/test"))
            #expect(new == nil)
        }
        let known = try await copy.log.assign(
            "HERO", ["user_3"], context: CommandContext(actor: "key/test"))
        #expect(known.assignments.first?.reason == .existing)
        #expect(throws: FollowerDatabaseError.self) { try copy.database.lead() }
        try await copy.stop()
        #expect(throws: FollowerDatabaseError.self) { try copy.database.lead() }
        try await leader.stop()
    }

    @Test("goes on where it stopped, and serves what it holds while its source is away")
    func resumption() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        let proxy = try await TamperingProxy.start(leader.url)
        try await leader.log.createExperiment("HERO")
        let database = try TestDatabase()
        var copy = try await TestNode.following(proxy.url, in: database)
        await copy.catchUp(with: leader)
        try await copy.stop()
        let held = copy.log.view.position
        try await leader.log.assign("HERO", subjects: 0..<3_000)
        proxy.set(upstream: "http://127.0.0.1:1")
        copy = try await TestNode.following(proxy.url, in: database)
        #expect(copy.log.view.position == held)
        #expect(try await copy.get("/v1/experiments/HERO").status == 200)
        await copy.follower?.wait { $0.state == .disconnected }
        proxy.set(upstream: leader.url)
        await copy.catchUp(with: leader)
        #expect(try copy.lines() == leader.lines())
        try await copy.stop()
        try await proxy.stop()
        try await leader.stop()
    }

    @Test("takes over a database that holds the beginning of the source's log, and no other")
    func adoption() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        for id in ["ONE", "TWO"] as [ResourceID] { try await leader.log.createExperiment(id) }
        try await leader.log.assign("ONE", subjects: 0..<700)
        let (same, other) = (try TestDatabase(), try TestDatabase())
        let lines = try leader.lines()
        for (database, last) in [(same, nil), (other, "THREE")] as [(TestDatabase, ResourceID?)] {
            let node = try await TestNode.leading(database, key: try SigningKey())
            try await node.stop()
            try await Copying.store(lines[..<500], in: database)
            guard let last else { continue }
            let log = try await onThread { try database.lead() }
            try await log.createExperiment(last)
            try await onThread { log.stop() }
        }
        let copy = try await TestNode.following(leader.url, in: same)
        await copy.catchUp(with: leader)
        #expect(try copy.lines() == lines)
        let error = await #expect(throws: FollowError.self) {
            _ = try await TestNode.following(leader.url, in: other)
        }
        #expect(error?.description.contains("from position 501 on") == true)
        let url = leader.url
        let common = try await onThread {
            try CommonPrefix.find(
                conninfo: other.conninfo, source: SourceAddress(url: url, key: nil), trusted: nil)
        }
        #expect(common.position == 500 && common.size > 500)
        try await copy.stop()
        try await leader.stop()
    }

    @Test("is promoted once, under an epoch above its source's, which ends it where it runs")
    func promotion() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        try leader.database.execute("UPDATE ledger.head SET epoch = 7")
        let database = try TestDatabase()
        let copy = try await TestNode.following(leader.url, in: database)
        await copy.catchUp(with: leader)
        let position = copy.log.view.position
        let dry = try Promotion.run(conninfo: database.conninfo, isDryRun: true)
        #expect(dry.position == position && dry.unverified == 0 && dry.epoch > 7)
        let report = try Promotion.run(conninfo: database.conninfo, isDryRun: false)
        #expect(report == dry)
        await copy.follower?.wait { $0.state == .promoted }
        try await copy.stop()
        #expect(throws: FollowError.self) {
            try Promotion.run(conninfo: database.conninfo, isDryRun: false)
        }
        await #expect(throws: FollowError.self) {
            _ = try await TestNode.following(leader.url, in: database)
        }
        let log = try await onThread { try database.lead() }
        #expect(log.epoch > report.epoch)
        try await log.createExperiment("NEXT")
        try await onThread { log.stop() }
        try await leader.stop()
    }

    @Test("knows a commit of its source in far less than a second")
    func latency() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        let copy = try await TestNode.following(leader.url, in: try TestDatabase())
        await copy.catchUp(with: leader)
        var slowest = Duration.zero
        for number in 0..<50 {
            let started = ContinuousClock.now
            try await leader.log.assign("HERO", subjects: number..<number + 1)
            await copy.catchUp(with: leader, proven: false)
            slowest = max(slowest, ContinuousClock.now - started)
        }
        print("slowest of 50: \(slowest)")
        #expect(slowest < .seconds(2))
        try await copy.stop()
        try await leader.stop()
    }
}
