// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

/// A module of the ledger, in `Sources/<name>`.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The tests of a module, in `Tests/<name>Tests`.
func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.byName(name: name)] + dependencies,
        swiftSettings: strict)
}

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "ledger",
    products: [.executable(name: "ledger", targets: ["ledger"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        module("Postgres", ["CPostgres"]),
        module("Curl", ["CCurl"]),
        module("Gzip", ["CZlib"]),
        module("JSON"),
        .target(
            name: "Schema", path: "schema", exclude: ["openapi.yaml"],
            resources: [
                .embedInCode("log"), .embedInCode("projection"), .embedInCode("analytics"),
            ],
            swiftSettings: strict),
        module("Domain", ["JSON", crypto]),
        module("Proof", [crypto]),
        module("Secrets", [crypto]),
        module(
            "EventLog",
            [
                "Domain", "JSON", "Postgres", "Proof", "Schema", "Secrets", "Telemetry", crypto,
                logging,
            ]),
        module(
            "Projections",
            [
                "EventLog", "Domain", "JSON", "Postgres", "Schema", "Statistics", "Telemetry",
                crypto, logging,
            ]),
        module(
            "Webhooks",
            [
                "Curl", "Domain", "EventLog", "Gzip", "JSON", "Postgres", "Secrets", "Telemetry",
                crypto, deque, heap, logging,
            ]),
        module(
            "Replication",
            [
                "Curl", "Domain", "EventLog", "Gzip", "JSON", "Postgres", "Proof", "Telemetry",
                logging,
            ]),
        module("Statistics"),
        module("Telemetry", [logging]),
        module(
            "HTTPAPI",
            [
                "Curl", "EventLog", "Domain", "Gzip", "JSON", "Postgres", "Projections", "Proof",
                "Replication", "Secrets", "Statistics", "Telemetry", "Webhooks", crypto,
                hummingbird,
                lifecycle, yams,
            ]),
        module(
            "CommandLine",
            [
                "HTTPAPI", "Curl", "EventLog", "Projections", "Postgres", "Proof", "Replication",
                "Secrets",
                "Telemetry", "Webhooks", arguments, hummingbird, lifecycle, logging,
            ]),
        .executableTarget(name: "ledger", dependencies: ["CommandLine"], swiftSettings: strict),
        .executableTarget(
            name: "ledger-bench",
            dependencies: [
                "Curl", "Domain", "JSON", "Postgres", "Proof", arguments, hummingbird, logging,
            ],
            path: "Sources/Benchmark", swiftSettings: strict),
        .target(
            name: "TestSupport",
            dependencies: [
                "Domain", "EventLog", "JSON", "Postgres", "Proof", "Secrets", "Telemetry", crypto,
                logging,
            ],
            path: "Tests/Support", swiftSettings: strict),
        .target(
            name: "SeededRandomness", path: "Tests/SeededRandomness", swiftSettings: strict),
        .target(name: "FaultyReceiver", path: "Tests/FaultyReceiver", swiftSettings: strict),
        .target(
            name: "PythonEnvironment", path: "Tests/PythonEnvironment", swiftSettings: strict),
        .target(
            name: "Torture",
            dependencies: [
                "Curl", "Domain", "EventLog", "JSON", "Postgres", "SeededRandomness", "TestSupport",
            ],
            path: "Tests/Torture", swiftSettings: strict),
        .executableTarget(
            name: "ledger-torture", dependencies: ["ledger", "Torture", arguments],
            path: "Tests/TortureCommand", swiftSettings: strict),
        tests("Postgres"),
        tests("Curl", ["FaultyReceiver"]),
        tests("Gzip"),
        tests("JSON", ["SeededRandomness"]),
        .testTarget(
            name: "DomainTests", dependencies: ["Domain", "JSON", "SeededRandomness", crypto],
            resources: [.embedInCode("Fixtures")], swiftSettings: strict),
        tests("Proof", ["SeededRandomness", crypto]),
        tests("Statistics", ["PythonEnvironment", "SeededRandomness"]),
        tests("Telemetry", [logging]),
        tests("CommandLine", ["Curl", arguments]),
        tests("Secrets"),
        tests(
            "Replication",
            [
                "Curl", "Domain", "EventLog", "HTTPAPI", "JSON", "Postgres", "Projections",
                "Proof", "SeededRandomness", "Telemetry", "TestSupport", "Webhooks",
                hummingbird, lifecycle, logging,
            ]),
        tests("EventLog", ["Proof", "Secrets", "SeededRandomness", "TestSupport", crypto]),
        tests(
            "HTTPAPI",
            [
                "Curl", "Domain", "EventLog", "FaultyReceiver", "Gzip", "JSON", "Postgres",
                "Projections", "Proof", "PythonEnvironment", "Secrets", "SeededRandomness",
                "TestSupport",
                "Telemetry", "Webhooks", crypto, hummingbird, lifecycle, logging,
            ]),
        tests(
            "Webhooks",
            [
                "Curl", "Domain", "EventLog", "FaultyReceiver", "Gzip", "JSON", "Postgres",
                "PythonEnvironment", "Secrets", "SeededRandomness", "TestSupport", "Telemetry",
                crypto,
                logging,
            ]),
        tests("Projections", ["SeededRandomness", "Statistics", "TestSupport"]),
        .testTarget(
            name: "TortureTests",
            dependencies: [
                "ledger", "EventLog", "Postgres", "SeededRandomness", "TestSupport", "Torture",
            ],
            path: "Tests/TortureTests", swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "ledger", "Curl", "EventLog", "FaultyReceiver", "JSON", "Postgres",
                "SeededRandomness", "TestSupport",
            ],
            path: "Tests/EndToEnd", exclude: ["check_log.py"], swiftSettings: strict),
    ]
)
