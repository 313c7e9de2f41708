import Domain
import EventLog
import SeededRandomness
import Statistics
import TestSupport
import Testing

@testable import Projections

@Suite(.timeLimit(.minutes(10))) struct ScoreProjectionTests {
    /// What the log says of an experiment's scores, worked out one by one.
    private struct Model {
        struct Score {
            var position: Int64
            var occurredAt: Int64
            var value: Double
            var unit: UnitKey
            var arm: ArmKey
            var name: String
        }

        var scores: [Int64: Score] = [:]
        var unattributed: [Int64: String] = [:]

        init(_ events: [StoredEvent], _ experiment: ExperimentKey) throws {
            for event in events {
                switch try event.decoded() {
                case .scoreRecorded(let score) where score.unit.experiment == experiment:
                    guard let variant = score.variant, let cohort = score.cohort else {
                        unattributed[event.position] = score.name
                        continue
                    }
                    scores[event.position] = Score(
                        position: event.position, occurredAt: score.occurredAt.microseconds,
                        value: score.value.number, unit: score.unit,
                        arm: ArmKey(cohort: cohort, variant: variant), name: score.name)
                case .scoreRetracted(let retracted):
                    scores[retracted.position] = nil
                    unattributed[retracted.position] = nil
                default: continue
                }
            }
        }

        /// The number of each unit, by name and arm.
        func numbers(_ aggregation: ScoreAggregation) -> [String: [ArmKey: [Double]]] {
            var units: [String: [UnitKey: [Score]]] = [:]
            for score in scores.values {
                units[score.name, default: [:]][score.unit, default: []].append(score)
            }
            return units.mapValues { units in
                var arms: [ArmKey: [Double]] = [:]
                for scores in units.values {
                    let sorted = scores.sorted { $0.position < $1.position }
                    let values = sorted.map(\.value)
                    let latest = sorted.max {
                        ($0.occurredAt, $0.position) < ($1.occurredAt, $1.position)
                    }
                    let number =
                        switch aggregation {
                        case .latest: latest?.value ?? .nan
                        case .sum: values.reduce(0, +)
                        case .count: Double(values.count)
                        case .mean: values.reduce(0, +) / Double(values.count)
                        case .min: values.min() ?? .nan
                        case .max: values.max() ?? .nan
                        }
                    arms[sorted[0].arm, default: []].append(number)
                }
                return arms
            }
        }
    }

    /// Random commands; where each lands in the log, and so how they fall into the steps of the
    /// projector, is left to the machine.
    private func fill(_ fixture: Fixture, _ generator: inout SeededGenerator) async throws {
        for id in ["ONE", "TWO", "THREE"] as [ResourceID] {
            try await fixture.log.createExperiment(id)
            try await fixture.log.submit(
                .assign(id, subjects: (0..<60).map { "user/\($0)%\u{E9}" }))
        }
        for _ in 0..<500 {
            _ = try? await fixture.log.submit(RandomUnits.command(&generator))
            if Int.random(in: 0..<20, using: &generator) == 0 { await fixture.settle() }
        }
        await fixture.settle()
    }

    @Test(arguments: 0..<3)
    func `figures are those of the scores one by one, summed up or not`(run: Int) async throws {
        var generator = SeededGenerator()
        let seed = Comment(rawValue: "seed \(generator.seed)")
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fill(fixture, &generator)
        #expect(try await fixture.verify().count == 0, seed)
        let events = try await fixture.log.reader.events(after: 0, through: .max, limit: 100_000)
            .events
        let state = fixture.log.view.snapshot.state
        let keys =
            state.experiments.keys.map { ExperimentKey.managed($0) }
            + state.steps.keys.map { ExperimentKey.step($0) }
        let reader = ResultsReader(pool: fixture.database.pool())
        let summed = ResultsReader(pool: reader.pool, exactScoresMax: 0)
        defer { reader.pool.shutdown() }
        var scores = 0
        for key in keys {
            let model = try Model(events, key)
            scores += model.scores.count
            for aggregation in ScoreAggregation.allCases {
                var query = ResultsQuery(experiment: key)
                query.aggregation = aggregation
                let expected = model.numbers(aggregation)
                for (reader, isExact) in [(reader, true), (summed, false)] {
                    let figures = try #require(try await reader.figures(query))
                    #expect(figures.position == fixture.log.view.position, seed)
                    expect(figures, expected, isExact: isExact, seed)
                    #expect(
                        figures.unattributed.values.reduce(0, +) == Int64(model.unattributed.count),
                        seed)
                }
            }
        }
        #expect(scores > 100, seed)
    }

    @Test func `figures as of a position are those that were then`() async throws {
        var generator = SeededGenerator()
        let seed = Comment(rawValue: "seed \(generator.seed)")
        let fixture = try Fixture()
        defer { fixture.stop() }
        try await fill(fixture, &generator)
        let reader = ResultsReader(pool: fixture.database.pool())
        defer { reader.pool.shutdown() }
        let head = fixture.log.view.position
        for key in fixture.log.view.snapshot.state.steps.keys {
            let position = Int64.random(in: 1...head, using: &generator)
            let events = try await fixture.log.reader.events(
                after: 0, through: position, limit: 100_000
            ).events
            let model = try Model(events, .step(key))
            var query = ResultsQuery(experiment: .step(key))
            query.asOf = position
            let figures = try #require(try await reader.figures(query))
            #expect(figures.position == position && figures.head == position, seed)
            expect(figures, model.numbers(.latest), isExact: true, seed)
            let selected = try events.count { event in
                guard case .variantSelected(let selected) = try event.decoded() else {
                    return false
                }
                return selected.step == key
            }
            #expect(figures.assigned.values.reduce(0, +) == Int64(selected), seed)
        }
    }

    private func expect(
        _ figures: ResultsFigures, _ expected: [String: [ArmKey: [Double]]], isExact: Bool,
        _ seed: Comment
    ) {
        #expect(Set(figures.scores.keys.map(\.text)) == Set(expected.keys), seed)
        for (name, arms) in expected {
            let found = figures.scores[ExactText(name)] ?? [:]
            #expect(Set(found.keys) == Set(arms.keys), seed)
            for (arm, numbers) in arms {
                let units = found[arm]?.units ?? UnitNumbers()
                let moments = Moments(numbers)
                #expect(units.count == numbers.count, seed)
                #expect(abs(units.moments.mean - moments.mean) < 1e-12, seed)
                #expect(
                    abs((units.moments.variance ?? 0) - (moments.variance ?? 0)) < 1e-10, seed)
                let sorted = numbers.sorted()
                for share in [0, 0.25, 0.5, 0.75, 1] {
                    let rank = max(1, Int((share * Double(sorted.count)).rounded(.up)))
                    let exact = sorted[rank - 1]
                    let read = units.quantiles([share])[0] ?? .nan
                    let error = isExact ? 1e-12 : QuantileSketch.relativeErrorMax
                    #expect(abs(read - exact) <= error * abs(exact) + 1e-12, seed)
                }
            }
        }
    }
}
