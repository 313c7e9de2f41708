import Curl
import Glibc
import JSON
import Synchronization
import TestSupport

/// One `ledger serve` among several on one database, with faulty networks around it.
final class Node: Sendable {
    let number: Int
    /// Between the node and PostgreSQL; nil where it connects by itself.
    let database: FaultyProxy?
    /// Between the other nodes and this one; clients come another way.
    let entrance: FaultyProxy
    let url: String
    private let flags: [String]
    private let environment: [String: String]
    private let directory: String
    private let process = Mutex<LedgerProcess?>(nil)

    init(_ number: Int, directory: String, on site: DatabaseSite, isAlone: Bool) {
        self.number = number
        self.directory = directory
        environment = ["LEDGER_DATA_DIR": directory].merging(WrongClock.environment(number)) { $1 }
        let port = freePort()
        url = "http://127.0.0.1:\(port)"
        entrance = FaultyProxy(to: .loopback(port: port))
        let conninfo: String
        (database, conninfo) = site.connectNode()
        flags =
            ["--database", conninfo, "--listen", "127.0.0.1:\(port)"]
            + (isAlone ? [] : ["--advertise", "http://127.0.0.1:\(entrance.port)"])
    }

    /// Starts it, and waits until it listens; again and again while it can't.
    func start(patience: Duration = .seconds(60)) throws {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                let started = try LedgerProcess.serve(
                    flags, environment: environment, log: "\(directory)/node-\(number).log")
                return process.withLock { $0 = started }
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    func signal(_ signal: Int32) { process.withLock { $0?.kill(signal) } }

    /// Ends it with a signal and waits until it is gone.
    func end(_ signal: Int32) {
        let ended = process.withLock { $0.take() }
        ended?.kill(signal)
        ended?.wait()
    }

    /// What `/readyz` says, if it says that the node is ready.
    var role: String? {
        let request = Request(url: "\(url)/readyz", timeoutMilliseconds: 1_000)
        guard let response = try? Transfer().perform(request), response.status == 200,
            let json = try? JSONValue.parse(response.body)
        else { return nil }
        return json["role"]?.string ?? "leader"
    }
}

/// Clocks that disagree, by libfaketime where it is installed.
enum WrongClock {
    /// Seconds that the first nodes' clocks are off; the others' are right.
    private static let offsets = [0, -3_600, 90]

    private static let library: String? = {
        for machine in ["x86_64", "aarch64"] {
            let path = "/usr/lib/\(machine)-linux-gnu/faketime/libfaketimeMT.so.1"
            if access(path, R_OK) == 0 { return path }
        }
        return nil
    }()

    /// With which the process of a node runs.
    static func environment(_ node: Int) -> [String: String] {
        guard let library, offsets.indices.contains(node), offsets[node] != 0 else { return [:] }
        let offset = offsets[node]
        return [
            "LD_PRELOAD": library, "FAKETIME": "\(offset < 0 ? "" : "+")\(offset)",
            // What is waited for is waited for as long as usual.
            "DONT_FAKE_MONOTONIC": "1",
        ]
    }
}
