import Curl
import Glibc
import JSON
import Postgres

/// Deliveries to a sink on the same machine.
extension Scenario {
    private static let endpoints = 1_000
    private static let deadEndpoints = 100
    /// Events in one request where batches are measured.
    private static let deliveredBatchLength = 500
    /// Deliveries per second that are enough, however quickly the log can be read.
    private static let batchedEventsEnough = 150_000.0

    /// Deliveries of single events per second, beside wrk posting the same body to the same sink.
    static func webhookSingles(_ stage: Stage, _ size: Size) throws -> Finding {
        let sink = try stage.startSink()
        defer { sink.stop() }
        try stage.assign(size.deliveries, prefix: "delivered")
        _ = try stage.settledHead()
        var finding = Finding(.webhookSingle, unit: "requests/s", .ratio(least: 0.5))
        for round in 1...size.rounds {
            let seconds = try deliver(
                stage, sink, "single\(round)", encoder: "standard-webhooks",
                requests: size.deliveries)
            let body = try stage.sampleDelivery("single\(round)")
            try stage.remove("single\(round)")
            let reference = try Wrk.run(
                Script.posting(body, to: "/hook"), url: sink.url, connections: connections,
                seconds: size.seconds, stage)
            finding.add(Double(size.deliveries) / seconds, reference.perSecond)
        }
        return finding
    }

    /// Events per second in batches, beside reading the log out.
    static func webhookBatches(_ stage: Stage, _ size: Size) throws -> Finding {
        let sink = try stage.startSink()
        defer { sink.stop() }
        let count = size.deliveries * 5
        try stage.assign(count, prefix: "delivered")
        _ = try stage.settledHead()
        let connection = try stage.connect()
        defer { connection.close() }
        try connection.execute("VACUUM ANALYZE ledger.events")
        let reading = try CopyReference.readOut(connection)
        var finding = Finding(
            .webhookBatch, unit: "events/s", .rate(least: min(batchedEventsEnough, reading / 2)))
        for round in 1...size.rounds {
            let seconds = try deliver(
                stage, sink, "batch\(round)", encoder: "ndjson", requests: nil, events: count)
            try stage.remove("batch\(round)")
            finding.add(Double(count) / seconds, reading)
        }
        return finding
    }

    /// Seconds from registering an endpoint until it has got all assignments of the log.
    private static func deliver(
        _ stage: Stage, _ sink: Sink.Process, _ id: String, encoder: String, requests: Int?,
        events: Int? = nil
    ) throws -> Double {
        try stage.forgetArrivals(sink)
        let clock = ContinuousClock.now
        try stage.register(
            id, url: sink.url + "/hook", encoder: encoder, from: "\"beginning\"",
            batch: deliveredBatchLength)
        let deadline = clock + .seconds(120)
        while true {
            if let requests, try stage.arrivals(sink).requests >= requests { break }
            if let events, try stage.delivered(id) >= events { break }
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("the deliveries to \(id) do not come to an end")
            }
            usleep(20_000)
        }
        return (ContinuousClock.now - clock).seconds
    }

    // MARK: Many endpoints

    /// The 99th percentile of delays with endpoints that never answer, beside that without them.
    static func webhookDead(_ stage: Stage, _ size: Size) throws -> Finding {
        let sink = try stage.startSink()
        defer { sink.stop() }
        for number in deadEndpoints..<endpoints {
            try stage.register("live\(number)", url: "\(sink.url)/delay/\(number)")
        }
        var finding = Finding(.webhookDead, unit: "ms", .ratioAtMost(1.5))
        _ = try delays(stage, sink, "w", 3)
        var before: [Double] = []
        for round in 1...size.rounds {
            before.append(try delays(stage, sink, "b\(round)", size.seconds))
        }
        for number in 0..<deadEndpoints {
            try stage.register("dead\(number)", url: "\(sink.url)/never/\(number)")
        }
        for round in 1...size.rounds {
            let after = try delays(stage, sink, "a\(round)", size.seconds)
            finding.add(after, before[round - 1])
        }
        return finding
    }

    /// Milliseconds within which 99 of 100 deliveries arrive, of ten events in a second.
    private static func delays(
        _ stage: Stage, _ sink: Sink.Process, _ prefix: String, _ seconds: Int
    ) throws -> Double {
        try stage.forgetArrivals(sink)
        let events = seconds * 10
        for number in 0..<events {
            try stage.assign(1, prefix: "\(prefix)-\(number)")
            usleep(100_000)
        }
        let expected = events * (endpoints - deadEndpoints)
        let deadline = ContinuousClock.now + .seconds(30)
        var arrivals = try stage.arrivals(sink)
        while arrivals.delays.count < expected {
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("\(arrivals.delays.count) of \(expected) deliveries arrived")
            }
            usleep(100_000)
            arrivals = try stage.arrivals(sink)
        }
        return arrivals.delays.sorted()[expected * 99 / 100 - 1] * 1_000
    }

    /// Megabytes resident while a thousand endpoints work off a long log.
    ///
    /// The server is started anew before, so that what it remembers of a million subjects is not
    /// counted.
    static func webhookMemory(_ stage: Stage, _ size: Size) throws -> Finding {
        let sink = try stage.startSink()
        defer { sink.stop() }
        try stage.assign(size.backlog, prefix: "backlog")
        try stage.waitForProjections()
        let warm = try stage.residentMegabytes()
        try stage.restartServer()
        var finding = Finding(.webhookMemory, unit: "MB", .value(most: 300))
        finding.note("MB of the server that recorded the events", warm, nil)
        finding.note("MB before", try stage.residentMegabytes(), nil)
        for number in 0..<endpoints {
            // One in ten never answers, which keeps what it was sent for longest.
            let path = number % 10 == 0 ? "never" : "hook"
            try stage.register(
                "endpoint\(number)", url: "\(sink.url)/\(path)/\(number)", encoder: "ndjson",
                from: "\"beginning\"", batch: deliveredBatchLength)
        }
        for _ in 1...size.rounds * 5 {
            usleep(1_000_000 * UInt32(max(1, size.seconds / 2)))
            finding.note("MB", try stage.residentMegabytes(), nil)
        }
        finding.add(try stage.residentMegabytesPeak(), nil)
        return finding
    }
}

// MARK: The sink

extension Stage {
    func startSink() throws -> Sink.Process {
        let child = try start([programs.benchmark, "sink"], name: "sink")
        let port = try child.waitForLine("it listened") { line in
            line.hasPrefix(BareRoute.announcement)
                ? Int(line.dropFirst(BareRoute.announcement.count)) : nil
        }
        return Sink.Process(child: child, url: "http://127.0.0.1:\(port)")
    }

    func arrivals(_ sink: Sink.Process) throws -> Sink.Arrivals {
        try arrivals(sink, "GET")
    }

    func forgetArrivals(_ sink: Sink.Process) throws { _ = try arrivals(sink, "DELETE") }

    private func arrivals(_ sink: Sink.Process, _ method: String) throws -> Sink.Arrivals {
        let response = try Transfer().perform(
            Request(method: method, url: sink.url + "/arrivals", timeoutMilliseconds: 60_000))
        let json = try JSONValue.parse(response.body)
        return Sink.Arrivals(
            requests: Int(json["requests"]?.integer ?? 0),
            delays: json["delays"]?.array?.compactMap { $0.double } ?? [])
    }

    /// Registers an endpoint for all assignments.
    func register(
        _ id: String, url: String, encoder: String = "standard-webhooks",
        from: String = "\"now\"", batch: Int = 1
    ) throws {
        _ = try send(
            "POST", "/v1/webhooks",
            """
            {"id":"\(id)","url":"\(url)","events":["AssignmentMade"],"encoder":"\(encoder)",\
            "from":\(from),"batch":{"maxCount":\(batch)},"allow":["127.0.0.0/8"]}
            """)
    }

    func remove(_ id: String) throws { _ = try send("DELETE", "/v1/webhooks/\(id)", "") }

    /// Events that an endpoint has got.
    func delivered(_ id: String) throws -> Int {
        let answer = try JSONValue.parse(send("GET", "/v1/webhooks/\(id)", ""))
        return Int(answer["delivery"]?["delivered"]?.integer ?? 0)
    }

    /// The body of a delivery of one assignment.
    func sampleDelivery(_ id: String) throws -> String {
        let answer = try send("POST", "/v1/webhooks/\(id)/test", "{}")
        let report = try JSONValue.parse(answer)
        guard report["status"]?.integer == 204, let body = report["request"]?["body"]?.string else {
            throw BenchmarkError("the sample was not delivered")
        }
        return body
    }
}
