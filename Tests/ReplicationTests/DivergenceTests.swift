import Domain
import EventLog
import JSON
import Postgres
import Proof
import SeededRandomness
import TestSupport
import Testing

@testable import Replication

@Suite("A follower whose source sends what does not fit", .timeLimit(.minutes(10)))
struct DivergenceTests {
    private let key: SigningKey

    init() throws { key = try SigningKey() }

    /// The lines of a page that are not sent, or not as they are.
    private static func changes(at position: Int64) -> [(Divergence.Kind, TamperingProxy.Change)] {
        func at(_ change: @escaping @Sendable (inout [[UInt8]], Int) -> Void)
            -> TamperingProxy.Change
        {
            { lines in
                guard let first = lines.first.flatMap({ try? StoredEvent(line: $0).position }),
                    position >= first, position < first + Int64(lines.count)
                else { return }
                change(&lines, Int(position - first))
            }
        }
        return [
            (.malformedLine, at { $0[$1].insert(0x20, at: 1) }),
            (.wrongPosition, at { $0.remove(at: $1) }),
            (
                .wrongPosition,
                at { lines, index in
                    if index + 1 < lines.count {
                        lines.swapAt(index, index + 1)
                    } else {
                        lines[index] = lines[max(0, index - 1)]
                    }
                }
            ),
            (
                .otherLines,
                at { lines, index in
                    guard var event = try? StoredEvent(line: lines[index]) else { return }
                    event.actor = "key/mallory"
                    lines[index] = event.line
                }
            ),
        ]
    }

    @Test("stops in front of the very line, stores nothing from it on, and serves no more")
    func tamperedBacklog() async throws {
        var generator = SeededGenerator()
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        try await leader.log.assign("HERO", subjects: 0..<900)
        let end = leader.log.view.position
        for number in 0..<8 {
            let position = Int64.random(in: 3...end - 1, using: &generator)
            let (kind, change) = Self.changes(at: position)[number % 4]
            let proxy = try await TamperingProxy.start(leader.url, change)
            let database = try TestDatabase()
            var copy = try await TestNode.following(proxy.url, in: database)
            await copy.follower?.wait { $0.divergence != nil }
            let status = try #require(copy.follower?.status)
            #expect(status.divergence?.kind == kind)
            #expect(status.divergence?.position == position, "\(kind)")
            #expect(status.position < position && status.position == status.verifiedPosition)
            #expect(try await copy.get("/v1/experiments/HERO").status == 503)
            #expect(try await copy.get("/readyz").status == 503)
            let shown = try await copy.get("/v1/replication").json
            #expect(shown["divergence"]?["position"]?.integer == position)
            try await copy.stop()
            proxy.set(nil)
            copy = try await TestNode.following(proxy.url, in: database)
            #expect(copy.follower?.status.divergence?.position == position)
            try await copy.stop()
            copy = try await TestNode.following(proxy.url, in: database, retries: true)
            await copy.catchUp(with: leader)
            #expect(try copy.lines() == leader.lines())
            try await copy.stop()
            try await proxy.stop()
        }
        try await leader.stop()
    }

    @Test("finds out by the next checkpoint that a line of the live feed was changed")
    func tamperedFeed() async throws {
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        try await leader.log.assign("HERO", subjects: 0..<100)
        let proxy = try await TamperingProxy.start(leader.url)
        let database = try TestDatabase()
        let copy = try await TestNode.following(proxy.url, in: database)
        await copy.catchUp(with: leader)
        let verified = leader.log.view.position
        let position = verified + 4
        proxy.set(Self.changes(at: position)[3].1)
        try await leader.log.assign("HERO", subjects: 100..<110)
        await copy.follower?.wait { $0.divergence != nil }
        let status = try #require(copy.follower?.status)
        #expect(status.divergence?.kind == .otherLines && status.divergence?.position == position)
        #expect(status.verifiedPosition < position && status.verifiedPosition >= verified)
        try await copy.stop()
        if status.position >= position {
            #expect(throws: FollowError.self) {
                try Promotion.run(conninfo: database.conninfo, isDryRun: true)
            }
        }
        try await proxy.stop()
        try await leader.stop()
    }

    /// Two logs that have so many events in common, signed by one key.
    private func fork(common: Int) async throws -> (TestNode, TestNode) {
        let first = try await TestNode.leading(try TestDatabase(), key: key)
        try await first.log.createExperiment("HERO")
        try await first.log.assign("HERO", subjects: 0..<700)
        let database = try TestDatabase()
        try await Copying.store(try first.lines()[..<common], in: database)
        let second = try await TestNode.leading(database, key: key)
        return (first, second)
    }

    @Test(
        "names the first event that a forked source has otherwise, be its log longer or shorter",
        arguments: [(300, 20), (300, 900), (256, 1)])
    func fork(common: Int, further: Int) async throws {
        let (first, second) = try await fork(common: common)
        try await second.log.assign("HERO", subjects: 2_000..<2_000 + further)
        let proxy = try await TamperingProxy.start(first.url)
        let copy = try await TestNode.following(proxy.url, in: try TestDatabase())
        await copy.catchUp(with: first)
        let position = copy.log.view.position
        proxy.set(upstream: second.url)
        await copy.follower?.wait { $0.divergence != nil }
        let divergence = copy.follower?.status.divergence
        #expect(divergence?.kind == .fork)
        #expect(divergence?.position == Int64(common) + 1, "\(String(describing: divergence))")
        // What came before the checkpoint that gave it away is stored, and never counts as proven.
        #expect(copy.follower?.status.verifiedPosition == position)
        for node in [copy, second, first] { try await node.stop() }
        try await proxy.stop()
    }

    @Test("stops where the source has lost events for good")
    func shrunken() async throws {
        let (first, second) = try await fork(common: 400)
        let proxy = try await TamperingProxy.start(first.url)
        let copy = try await TestNode.following(
            proxy.url, in: try TestDatabase(), shrunkenPatience: .milliseconds(200))
        await copy.catchUp(with: first)
        proxy.set(upstream: second.url)
        await copy.follower?.wait { $0.divergence != nil }
        #expect(copy.follower?.status.divergence?.kind == .shrunken)
        #expect(copy.follower?.status.divergence?.position == 401)
        for node in [copy, second, first] { try await node.stop() }
        try await proxy.stop()
    }

    @Test("trusts no other key than at first, unless it is told to")
    func wrongKey() async throws {
        let other = try SigningKey()
        let leader = try await TestNode.leading(try TestDatabase(), key: key)
        try await leader.log.createExperiment("HERO")
        let database = try TestDatabase()
        await #expect(throws: Never.self) {
            let copy = try await TestNode.following(leader.url, in: database)
            await copy.catchUp(with: leader)
            try await copy.stop()
        }
        let lines = try leader.lines()
        try await leader.stop()
        let successorDatabase = try TestDatabase()
        try await Copying.store(lines[...], in: successorDatabase)
        let successor = try await TestNode.leading(successorDatabase, key: other)
        try await successor.log.createExperiment("NEXT")
        var copy = try await TestNode.following(successor.url, in: database)
        await copy.follower?.wait { $0.divergence != nil }
        #expect(copy.follower?.status.divergence?.kind == .wrongKey)
        try await copy.stop()
        copy = try await TestNode.following(
            successor.url, in: database, trusted: other.verifierKey)
        await copy.catchUp(with: successor)
        #expect(try copy.lines() == successor.lines())
        try await copy.stop()
        try await successor.stop()
    }
}
