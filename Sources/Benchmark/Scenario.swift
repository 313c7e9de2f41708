import ArgumentParser
import Domain

/// One row of the table.
enum Scenario: String, CaseIterable, ExpressibleByArgument {
    case `repeat`, new, batch, rebuild, memory
    case selectRepeat = "select-repeat"
    case selectNew = "select-new"
    case scores, results
    case webhookSingle = "webhook-single"
    case webhookBatch = "webhook-batch"
    case webhookDead = "webhook-dead"
    case webhookMemory = "webhook-memory"
    case nodes, failover, verify, proof
    case followBacklog = "follow-backlog"
    case followLag = "follow-lag"

    var work: String {
        switch self {
        case .repeat: "repeat assignment, one per request, 64 connections"
        case .new: "new assignment, one per request, 64 connections, durable"
        case .batch: "new assignments, \(Self.batchLength) subjects per request"
        case .rebuild: "`ledger rebuild`, all projections"
        case .memory: "resident size of the server"
        case .selectRepeat: "repeat selection, one per request, 64 connections"
        case .selectNew: "new selection, one per request, 64 connections, durable"
        case .scores: "scores, \(Self.batchLength) per request"
        case .results: "results of an experiment with 1 M scored units, p99"
        case .webhookSingle: "webhook deliveries, one event per request"
        case .webhookBatch: "webhook deliveries, 500 events per request"
        case .webhookDead: "p99 delay to 900 endpoints, 100 others never answering"
        case .webhookMemory: "peak resident size, 1 000 endpoints, 1 M events of backlog"
        case .nodes: "new assignment, three nodes on one database"
        case .failover: "first acknowledged write after a failover"
        case .verify: "`ledger verify`, 1 M events"
        case .proof: "proof from a log of 10 M events"
        case .followBacklog: "a new follower of 1 M events, checked and stored"
        case .followLag: "follower's lag at half of the leader's write limit"
        }
    }

    /// Subjects in one request of ``batch``.
    static let batchLength = 1_000
    /// Subjects that are asked for again and again in ``repeat``.
    static let repeatSubjects = 10_000
    static let connections = 64
    private static let batchConnections = 16

    func run(on stage: Stage, _ size: Size) throws -> [Finding] {
        switch self {
        case .repeat: [try Self.requests(self, least: 0.7, stage, size, Script.repeating)]
        case .new: [try Self.requests(self, least: 0.4, stage, size, Script.new)]
        case .selectRepeat:
            [try Self.requests(self, least: 0.7, stage, size, Script.repeatingSelection)]
        case .selectNew: [try Self.requests(self, least: 0.4, stage, size, Script.newSelection)]
        case .scores: [try Self.scores(stage, size)]
        case .results: [try Self.results(stage, size)]
        case .batch: [try Self.batches(stage, size)]
        case .rebuild: [try Self.rebuild(stage, size)]
        case .memory: [try Self.memory(stage, size)]
        case .webhookSingle: [try Self.webhookSingles(stage, size)]
        case .webhookBatch: [try Self.webhookBatches(stage, size)]
        case .webhookDead: [try Self.webhookDead(stage, size)]
        case .webhookMemory: [try Self.webhookMemory(stage, size)]
        case .nodes: try Self.nodes(stage, size)
        case .failover: try Self.failover(stage, size)
        case .verify: [try Self.verify(stage, size)]
        case .proof: try Self.proof(stage, size)
        case .followBacklog: [try Self.followBacklog(stage, size)]
        case .followLag: [try Self.followLag(stage, size)]
        }
    }

    // MARK: One subject per request

    /// Requests per second beside those of a route that does nothing.
    private static func requests(
        _ scenario: Scenario, least: Double, _ stage: Stage, _ size: Size,
        _ script: (String) -> Script
    ) throws -> Finding {
        let selects = scenario == .selectRepeat || scenario == .selectNew
        if selects {
            try stage.select(repeatSubjects, prefix: Script.repeatPrefix)
        } else {
            try stage.assign(repeatSubjects, prefix: Script.repeatPrefix)
        }
        let bare = try stage.startBareRoute(answerBytes: stage.answerBytes(selects: selects))
        defer { bare.stop() }
        func run(_ url: String, _ name: String, _ seconds: Int) throws -> Wrk.Summary {
            try Wrk.run(
                script(name), url: url, connections: connections, seconds: seconds, stage)
        }
        _ = try run(bare.url, "w", 1)
        _ = try run(stage.url, "w", 2)
        var finding = Finding(scenario, unit: "requests/s", .ratio(least: least))
        for round in 1...size.rounds {
            let reference = try run(bare.url, "\(round)", size.seconds)
            let before = try stage.settledHead()
            let measured = try run(stage.url, "\(round)", size.seconds)
            let events = try stage.eventCount(after: before)
            try check(
                measured, events: events, areNew: scenario == .new || scenario == .selectNew)
            finding.add(measured.perSecond, reference.perSecond)
            finding.note("p50 ms", measured.p50Milliseconds, reference.p50Milliseconds)
            finding.note("p99 ms", measured.p99Milliseconds, reference.p99Milliseconds)
        }
        return finding
    }

    /// A request that was in flight when wrk left may be in the log, and no other.
    static func check(_ run: Wrk.Summary, events: Int, areNew: Bool) throws {
        let expected = areNew ? run.requests...run.requests + connections : 0...0
        guard expected.contains(events) else {
            throw BenchmarkError(
                "\(run.requests) requests were answered, but the log grew by \(events) events")
        }
    }

    // MARK: Many subjects per request

    /// Rows per second beside a binary COPY of the same rows into a table of the same definition.
    private static func batches(_ stage: Stage, _ size: Size) throws -> Finding {
        let copy = try CopyReference(stage.connect())
        var finding = Finding(.batch, unit: "rows/s", .ratio(least: 0.4))
        for round in 0...size.rounds {
            let before = try stage.settledHead()
            let run = try Wrk.run(
                Script.batch("\(round)", length: batchLength), url: stage.url,
                connections: batchConnections, seconds: round == 0 ? 1 : size.seconds, stage)
            let events = try stage.eventCount(after: before)
            let answered = run.requests * batchLength
            guard (answered...answered + batchConnections * batchLength).contains(events) else {
                throw BenchmarkError(
                    "\(answered) subjects were answered, but the log grew by \(events) events")
            }
            let reference = try copy.fill(after: before, rows: answered)
            // The first round warms up both.
            if round == 0 { continue }
            finding.add(run.perSecond * Double(batchLength), reference)
            finding.note("p50 ms per request", run.p50Milliseconds, nil)
        }
        return finding
    }

    // MARK: Scores

    /// Scores per second beside a binary COPY of the same rows.
    private static func scores(_ stage: Stage, _ size: Size) throws -> Finding {
        let copy = try CopyReference(stage.connect())
        var finding = Finding(.scores, unit: "rows/s", .ratio(least: 0.4))
        for round in 0...size.rounds {
            let prefix = "scored\(round)"
            try stage.assign(size.scoredUnits, prefix: prefix)
            try stage.waitForProjections()
            let before = try stage.settledHead()
            let run = try Wrk.run(
                Script.scores(prefix: prefix, subjects: size.scoredUnits, length: batchLength),
                url: stage.url, connections: batchConnections,
                seconds: round == 0 ? 1 : size.seconds, stage)
            let events = try stage.eventCount(after: before)
            let answered = run.requests * batchLength
            guard (answered...answered + batchConnections * batchLength).contains(events) else {
                throw BenchmarkError(
                    "\(answered) scores were answered, but the log grew by \(events) events")
            }
            let clock = ContinuousClock.now
            try stage.waitForProjections()
            let lag = (ContinuousClock.now - clock).seconds
            let reference = try copy.fill(after: before, rows: answered)
            if round == 0 { continue }
            finding.add(run.perSecond * Double(batchLength), reference)
            finding.note("p50 ms per request", run.p50Milliseconds, nil)
            finding.note("seconds until the projections had all of it", lag, nil)
        }
        return finding
    }

    /// Milliseconds that an answer takes.
    private static func results(_ stage: Stage, _ size: Size) throws -> Finding {
        try stage.assign(size.resultUnits, prefix: "unit")
        try stage.score(size.resultUnits, prefix: "unit")
        try stage.waitForProjections()
        var finding = Finding(.results, unit: "ms", .value(most: 20))
        for _ in 1...size.rounds {
            let answers = try stage.resultsMilliseconds(count: 100, units: size.resultUnits)
            finding.add(answers.sorted()[98], nil)
            finding.note("p50 ms", answers.median, nil)
        }
        return finding
    }

    // MARK: The whole log

    /// Rows per second beside reading the log out with COPY.
    private static func rebuild(_ stage: Stage, _ size: Size) throws -> Finding {
        try stage.assign(size.rebuildRows, prefix: "rebuild")
        try stage.tidy()
        let connection = try stage.connect()
        defer { connection.close() }
        let events = Double(try stage.settledHead())
        var finding = Finding(.rebuild, unit: "rows/s", .ratio(least: 0.2))
        for _ in 1...size.rounds {
            let reference = try CopyReference.readOut(connection)
            let clock = ContinuousClock.now
            try stage.runLedger("rebuild", "--data-dir", stage.dataDirectory)
            let seconds = (ContinuousClock.now - clock).seconds
            finding.add(events / seconds, reference)
            finding.note("seconds", seconds, events / reference)
        }
        return finding
    }

    // MARK: Memory

    /// Megabytes resident while the assigned subjects grow threefold.
    private static func memory(_ stage: Stage, _ size: Size) throws -> Finding {
        var finding = Finding(.memory, unit: "MB", .flat(below: 400))
        for step in 1...3 {
            try stage.assign(size.memoryStep, prefix: "memory\(step)")
            finding.add(try stage.residentMegabytes(), nil)
        }
        finding.note("peak MB", try stage.residentMegabytesPeak(), nil)
        return finding
    }
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
