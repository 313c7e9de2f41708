/// Several servers on one database.
extension Scenario {
    private static let nodeNames = ["node1", "node2", "node3"]
    /// Seconds of silence that end a leader's session, which nothing else would end.
    private static let silenceSeconds = 5.0
    /// Acknowledged writes before a leader is lost.
    private static let writesBetween = 50

    /// New assignments per second with two standbys beside the leader, next to those without.
    static func nodes(_ stage: Stage, _ size: Size) throws -> [Finding] {
        let database = try SharedDatabase(on: stage)
        let first = try database.startFirst()
        func run(_ name: String, on nodes: [SharedDatabase.Node], _ seconds: Int) throws -> Double {
            var script = Script.new(name)
            script.key = database.key
            if nodes.count > 1 { script.spread(over: nodes.map(\.address.url)) }
            let before = try database.settledHead()
            let summary = try Wrk.run(
                script, url: nodes[0].address.url, connections: connections, seconds: seconds,
                stage)
            try check(summary, events: try database.eventCount(after: before), areNew: true)
            return summary.perSecond
        }
        _ = try run("w", on: [first], 2)
        var leading = Finding(
            .nodes, "all asked of the leader", unit: "requests/s", .ratio(least: 0.9))
        var spread = Finding(.nodes, "spread over the three", unit: "requests/s", .noted)
        for round in 1...size.rounds {
            let alone = try run("\(round)a", on: [first], size.seconds)
            let others = try nodeNames.dropFirst().map { try database.start($0) }
            defer { for node in others { node.child.stop() } }
            _ = try database.leader(of: [first] + others)
            leading.add(try run("\(round)b", on: [first], size.seconds), alone)
            spread.add(try run("\(round)c", on: [first] + others, size.seconds), alone)
        }
        return [leading, spread]
    }

    // MARK: Failover

    /// Seconds until a client of a standby is answered again when the leader is lost: killed and
    /// frozen by turns.
    static func failover(_ stage: Stage, _ size: Size) throws -> [Finding] {
        let database = try SharedDatabase(on: stage)
        var nodes = [try database.startFirst()]
        for name in nodeNames.dropFirst() { nodes.append(try database.start(name)) }
        let before = try database.settledHead()
        let writer = Writer(to: nodes[1].address)
        defer { writer.stop() }
        var killed: [Double] = []
        var frozen: [Double] = []
        for round in 0..<size.failovers {
            let leader = try database.leader(of: nodes)
            guard let standby = nodes.firstIndex(where: { $0.name != leader.name }),
                let lost = nodes.firstIndex(where: { $0.name == leader.name })
            else { throw BenchmarkError("there is no standby") }
            writer.turn(to: nodes[standby].address)
            try writer.waitForMore(writesBetween)
            if round.isMultiple(of: 2) {
                killed.append(try writer.timeToAnswer { leader.child.kill() }.seconds)
                nodes[lost] = try database.start(leader.name)
            } else {
                frozen.append(try writer.timeToAnswer { leader.child.freeze() }.seconds)
                leader.child.thaw()
            }
        }
        writer.stop()
        let acknowledged = try writer.acknowledged()
        let events = try database.eventCount(after: before)
        guard events == acknowledged else {
            throw BenchmarkError(
                "\(acknowledged) writes were acknowledged, but the log grew by \(events) events")
        }
        return [
            failover("leader killed", killed),
            failover("leader frozen, from the end of its session", frozen, less: silenceSeconds),
        ]
    }

    private static func failover(
        _ part: String, _ seconds: [Double], less: Double = 0
    ) -> Finding {
        var finding = Finding(.failover, part, unit: "s", .tail("worst", most: 5))
        let each = seconds.map { $0 - less }
        finding.add(each.max() ?? 0, nil, middle: each.median)
        for seconds in seconds { finding.note("s from the loss", seconds, nil) }
        return finding
    }
}
