import Domain
import EventLog
import Postgres
import SeededRandomness
import Synchronization
import TestSupport
import Testing

@Suite("Variants and scores of units under random interleavings", .timeLimit(.minutes(10)))
struct RandomUnitsTests {
    /// What clients were told of units' variants.
    private final class Told: Sendable {
        private let variants = Mutex<[UnitKey: Set<ExactText>]>([:])

        func note(_ answer: SelectionAnswer?) {
            guard let answer else { return }
            variants.withLock {
                _ = $0[answer.key, default: []].insert(ExactText(answer.placement.variant))
            }
        }

        var all: [UnitKey: Set<ExactText>] { variants.withLock { $0 } }
    }

    private static let clients = 12
    private static let commandsPerClient = 120

    /// Asks, scores and retracts at random; sends a third of it twice under one key.
    private func run(
        _ client: Int, _ log: EventLog, _ told: Told, _ seed: UInt64
    ) async {
        var generator = SeededGenerator(seed: seed &+ UInt64(client))
        for number in 0..<Self.commandsPerClient {
            let command = RandomUnits.command(&generator)
            guard Int.random(in: 0..<3, using: &generator) == 0 else {
                told.note(try? await log.submit(command).selection)
                continue
            }
            var context = CommandContext(actor: "key/test")
            context.idempotency = .init(
                key: "\(seed)-\(client)-\(number)",
                request: Digest([UInt8](repeating: UInt8(number), count: 32))!,
                answer: { receipt in Array("\(receipt.position)".utf8) })
            let first = try? await log.sequencer.submit(command, context)
            let again = try? await log.sequencer.submit(command, context)
            if let first, let again {
                #expect(again.replayedAnswer == Array("\(first.position)".utf8))
            }
        }
    }

    @Test("each unit keeps the first variant, and every score is credited to it")
    func variantsAndScores() async throws {
        let generator = SeededGenerator()
        let seed = Comment(rawValue: "seed \(generator.seed)")
        let database = try TestDatabase()
        let told = Told()
        // Two leaders, one after the other: what the first one cached the second has to look up.
        for round in 0..<2 {
            let log = try database.lead()
            defer { log.stop() }
            if round == 0 {
                for id in ["ONE", "TWO", "THREE"] as [ResourceID] {
                    try await log.createExperiment(id)
                    try await log.submit(
                        .assign(id, subjects: (0..<40).map { "user/\($0)%\u{E9}" }))
                }
            }
            let kill: @Sendable (Connection) throws -> Void = { connection in
                _ = try connection.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'ledger sequencer'
                    """)
            }
            await withTaskGroup(of: Void.self) { group in
                for client in 0..<Self.clients {
                    group.addTask {
                        await run(
                            client, log, told, generator.seed &+ UInt64(round) &* 1_000)
                    }
                }
                group.addTask {
                    for _ in 0..<4 {
                        await log.view.waitForCommit(beyond: log.view.position + 40)
                        try? await log.reader.pool.run(kill)
                    }
                }
            }
            log.view.beginClosing()
        }
        try await check(database, told, seed)
    }

    private func check(_ database: TestDatabase, _ told: Told, _ seed: Comment) async throws {
        let log = try database.lead()
        defer { log.stop() }
        let events = try await log.reader.events(after: 0, through: .max, limit: 100_000).events
        var placements: [UnitKey: Placement] = [:]
        var versions: [ExactText: Int64] = [:]
        var scores: [Int64: ScoreRecorded] = [:]
        var retracted: Set<Int64> = []
        for (index, event) in events.enumerated() {
            #expect(event.position == Int64(index + 1), seed)
            let stream = ExactText(event.stream)
            #expect(event.version == versions[stream, default: 0] + 1, seed)
            versions[stream] = event.version
            let decoded = try event.decoded()
            #expect(decoded.stream.isExactly(event.stream), seed)
            if let (unit, placement) = decoded.placed {
                #expect(placements.updateValue(placement, forKey: unit) == nil, seed)
            }
            switch decoded {
            case .scoreRecorded(let score):
                #expect(score.variant == placements[score.unit]?.variant, seed)
                #expect(score.cohort == placements[score.unit]?.cohort, seed)
                scores[event.position] = score
            case .scoreRetracted(let taken):
                #expect(scores[taken.position] == taken.score, seed)
                #expect(retracted.insert(taken.position).inserted, seed)
            default: continue
            }
        }
        #expect(placements.count > 130 && scores.count > 500, seed)
        for (unit, variants) in told.all {
            let variant = try #require(placements[unit]?.variant, seed)
            #expect(variants == [ExactText(variant)], seed)
        }
        let found = try await log.reader.placements(Array(placements.keys))
        #expect(found.count == placements.count, seed)
        for (unit, placement) in found {
            #expect(placement.version == versions[ExactText(unit.stream)], seed)
        }
    }
}
