import Curl
import Foundation
import JSON
import Postgres
import TestSupport

/// A ClickHouse of a test's own, on a free port of the loopback.
final class ClickHouseServer: Sendable {
    let url: String
    private let process: Process
    private let input = Pipe()
    private let directory: URL

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Starts the server that Debian's package `clickhouse-server` has installed.
    init() throws {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "ledger-clickhouse-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: directory.appending(path: "data"), withIntermediateDirectories: true)
        let (http, tcp) = (freePort(), freePort())
        try Self.write(
            """
            <yandex>
                <logger><level>warning</level><log>\(directory.path)/server.log</log>
                    <errorlog>\(directory.path)/error.log</errorlog></logger>
                <http_port>\(http)</http_port><tcp_port>\(tcp)</tcp_port>
                <listen_host>127.0.0.1</listen_host>
                <path>\(directory.path)/data/</path><tmp_path>\(directory.path)/tmp/</tmp_path>
                <users_config>users.xml</users_config>
                <default_profile>default</default_profile>
                <default_database>default</default_database>
                <mark_cache_size>5368709</mark_cache_size>
            </yandex>
            """, to: directory.appending(path: "config.xml"))
        try Self.write(
            """
            <yandex><profiles><default></default></profiles>
                <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
                    <profile>default</profile><quota>default</quota></default></users>
                <quotas><default></default></quotas></yandex>
            """, to: directory.appending(path: "users.xml"))
        url = "http://127.0.0.1:\(http)/"
        process = Process()
        // It ends when its input does, hence with this process, however that ends.
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = [
            "-c", #"clickhouse-server --config-file="$0" & cat >/dev/null; kill -9 $!"#,
            "\(directory.path)/config.xml",
        ]
        process.standardInput = input
        process.currentDirectoryURL = directory
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        try waitUntilReady()
    }

    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Runs a query, and gives back what it prints.
    @discardableResult
    func query(_ sql: String) throws -> String {
        let response = try post(url, Array(sql.utf8))
        let text = String(decoding: response.body, as: UTF8.self)
        guard response.status == 200 else { throw Failure(description: text) }
        return text
    }

    func post(_ url: String, _ body: [UInt8]) throws -> Response {
        try Transfer().perform(
            Request(method: "POST", url: url, body: body, timeoutMilliseconds: 30_000))
    }

    private func waitUntilReady() throws {
        let deadline = ContinuousClock.now + .seconds(30)
        let pause = Signal()
        while (try? query("SELECT 1")) != "1\n" {
            guard ContinuousClock.now < deadline, process.isRunning else {
                let log = try? String(
                    contentsOf: directory.appending(path: "error.log"), encoding: .utf8)
                throw Failure(description: "ClickHouse did not start: \(log ?? "")")
            }
            _ = pause.wait(timeout: .milliseconds(50))
        }
    }

    private static func write(_ text: String, to file: URL) throws {
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
}
