import Curl
import Glibc
import JSON
import Postgres
import Synchronization

/// A follower on the same machine as its leader.
extension Scenario {
    /// The share of what the leader can do at which the follower's lag is measured.
    private static let loadShare = 0.5
    private static let pauseMicroseconds: UInt32 = 5_000

    /// Events per second that a new follower takes in and checks, beside reading the log out with
    /// COPY.
    static func followBacklog(_ stage: Stage, _ size: Size) throws -> Finding {
        try stage.assign(size.logEvents, prefix: "followed")
        try stage.tidy()
        let connection = try stage.connect()
        defer { connection.close() }
        let events = try stage.settledHead()
        var finding = Finding(.followBacklog, unit: "events/s", .rate(least: 150_000))
        for round in 1...size.rounds {
            let reference = try CopyReference.readOut(connection)
            let database = try stage.startDatabase("follower\(round)")
            defer { database.stop() }
            let clock = ContinuousClock.now
            let follower = try stage.startFollower("follower\(round)")
            defer { follower.child.stop() }
            try follower.wait(for: "position", events)
            let seconds = (ContinuousClock.now - clock).seconds
            try follower.wait(for: "verifiedPosition", events)
            let verified = (ContinuousClock.now - clock).seconds
            finding.add(Double(events) / seconds, reference)
            finding.note("seconds", seconds, Double(events) / reference)
            finding.note("seconds until a signed tree covers it", verified, nil)
        }
        return finding
    }

    /// Milliseconds from the leader's answer to a write until the follower's answer has its event,
    /// while the leader does half of what it can.
    static func followLag(_ stage: Stage, _ size: Size) throws -> Finding {
        func load(_ name: String, _ seconds: Int) throws -> Wrk.Summary {
            try Wrk.run(
                Script.new(name), url: stage.url, connections: connections, seconds: seconds,
                stage)
        }
        _ = try load("w", 2)
        let limit = try load("limit", size.seconds).perSecond
        _ = try stage.startDatabase("follower")
        let follower = try stage.startFollower("follower")
        var finding = Finding(.followLag, unit: "ms", .tail("p99", most: 50))
        for round in 0...size.rounds {
            try follower.wait(for: "position", try stage.settledHead())
            var script = Script.new("\(round)")
            script.perSecond = limit * loadShare
            let wrk = try Wrk.start(
                script, url: stage.url, connections: connections, seconds: size.seconds, stage)
            let lags = try lags("sample\(round)", stage.address, follower.address, during: wrk)
            let reached = try Wrk.summary(of: wrk).perSecond
            guard reached > 0.9 * limit * loadShare else {
                throw BenchmarkError(
                    "the load was \(Int(reached)) requests/s instead of \(Int(limit * loadShare))")
            }
            // The first round warms up both.
            if round == 0 { continue }
            finding.add(lags.percentile(99), nil, middle: lags.median)
            finding.note("requests/s meanwhile, of those possible", reached, limit)
        }
        return finding
    }

    /// Milliseconds by which the follower was behind the leader's answer, each time a while after the
    /// other.
    private static func lags(
        _ prefix: String, _ leader: ServerAddress, _ follower: ServerAddress, during load: Child
    ) throws -> [Double] {
        let transfers = (leader: Transfer(), follower: Transfer())
        var lags: [Double] = []
        while !load.hasEnded {
            let body = Script.body(["\(prefix)-\(Script.padded(lags.count))"])
            let answer = try JSONValue.parse(
                leader.send("POST", Stage.path, body, over: transfers.leader))
            let acknowledged = ContinuousClock.now
            guard let position = answer["assignments"]?.array?.first?["position"]?.integer else {
                throw BenchmarkError("the leader's answer has no position")
            }
            let event = try follower.send(
                "GET", "/v1/events?after=\(position - 1)&limit=1&min_position=\(position)",
                over: transfers.follower)
            lags.append((ContinuousClock.now - acknowledged).seconds * 1_000)
            guard event.starts(with: Array("{\"position\":\(position),".utf8)) else {
                throw BenchmarkError("the follower does not have position \(position)")
            }
            usleep(pauseMicroseconds)
        }
        return lags
    }
}

// MARK: The follower

extension Stage {
    /// A running follower of the stage's server.
    struct Follower {
        let child: Child
        let address: ServerAddress

        /// Waits until a position in its report has reached one of the leader's.
        fileprivate func wait(for name: String, _ position: Int64) throws {
            let deadline = ContinuousClock.now + .seconds(180)
            let transfer = Transfer()
            while true {
                let report = try JSONValue.parse(
                    address.send("GET", "/v1/replication", over: transfer))
                if let reached = report[name]?.integer, reached >= position { return }
                if let divergence = report["divergence"]?["detail"]?.string {
                    throw BenchmarkError("the follower has stopped: \(divergence)")
                }
                guard ContinuousClock.now < deadline else {
                    let trouble = report["trouble"]?.string ?? "no trouble known"
                    throw BenchmarkError(
                        "the follower does not reach position \(position): \(trouble)")
                }
                usleep(10_000)
            }
        }
    }

    /// Starts a follower on the database that ``startDatabase(_:)`` made under this name.
    fileprivate func startFollower(_ name: String) throws -> Follower {
        let child = try start(
            [
                programs.ledger, "follow", "--from", url, "--listen", "127.0.0.1:0",
                "--data-dir", "\(directory)/\(name)",
            ], name: name)
        return Follower(child: child, address: ServerAddress(url: try child.waitForURL()))
    }
}
