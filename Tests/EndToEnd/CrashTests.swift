import Glibc
import SeededRandomness
import TestSupport
import Testing

@Suite("The running ledger", .serialized)
struct CrashTests {
    private let directory = temporaryDirectoryOrFail()

    private static func temporaryDirectoryOrFail() -> String {
        (try? temporaryDirectory()) ?? "/tmp/ledger-end-to-end"
    }

    private func killPostmaster() throws {
        let path = "\(directory)/postgres/postmaster.pid"
        guard let file = fopen(path, "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, 64, file) != nil,
            let pid = Int32(
                String(decoding: line.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self)), pid > 1
        else { return }
        kill(pid, SIGKILL)
    }

    @Test("keeps everything it acknowledged, once, through kill -9 of itself and of PostgreSQL")
    func killedAtRandom() throws {
        var generator = SeededGenerator()
        let port = freePort()
        var server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer {
            server.kill(SIGTERM)
            server.wait()
            removeTree(directory)
        }
        try Target(urls: [server.url]).createExperiment()
        let load = Load(Target(urls: [server.url]), clients: 8)
        for round in 0..<6 {
            try load.waitForMore(Int.random(in: 20...400, using: &generator))
            if round % 2 == 0 {
                server.kill(SIGKILL)
                server.wait()
                server = try LedgerProcess.serve(dataDirectory: directory, port: port)
            } else {
                try killPostmaster()
            }
        }
        try load.waitForMore(200)
        try Target(urls: [server.url]).check(load.stop(), generator.seed)
        let verified = try LedgerProcess.run(["verify", "--data-dir", directory])
        #expect(verified.status == 0, "\(verified.output)")
        let rebuilt = try LedgerProcess.run(["rebuild", "--verify", "--data-dir", directory])
        #expect(rebuilt.status == 0, "\(rebuilt.output)")
    }

    @Test("answers on SIGTERM what it accepted, and records nothing else")
    func gracefulShutdown() throws {
        let port = freePort()
        let server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer { removeTree(directory) }
        try Target(urls: [server.url]).createExperiment()
        let load = Load(Target(urls: [server.url]), clients: 8, retries: false)
        try load.waitForMore(300)
        server.kill(SIGTERM)
        #expect(server.wait() == 0)
        let acknowledged = load.stop()
        let again = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer {
            again.kill(SIGTERM)
            again.wait()
        }
        try Target(urls: [again.url]).check(acknowledged, isAll: true, 0)
    }
}
