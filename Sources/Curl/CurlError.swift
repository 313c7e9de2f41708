import CCurl
import Glibc

/// Why there is no response.
package struct CurlError: Error, Equatable, CustomStringConvertible {
    /// What went wrong, as far as a caller may act on it.
    package enum Kind: Sendable {
        /// The request can't be sent as it is; trying again is of no use.
        case invalidRequest
        case couldNotResolve
        case couldNotConnect
        case timedOut
        /// The TLS handshake failed, or the certificate is not trusted.
        case untrusted
        /// The response's headers or body are larger than allowed.
        case tooLarge
        /// The caller does not permit connections to the address.
        case forbiddenAddress
        /// The connection broke, or what came is not HTTP.
        case broken
    }

    /// What went wrong.
    package let kind: Kind
    /// The same for a person, with host, port and the system's own words.
    package let description: String

    /// Makes an error of what went wrong outside of libcurl.
    package init(kind: Kind, description: String) {
        self.kind = kind
        self.description = description
    }

    /// Reads the error out of a transfer that ended with `code`.
    init(code: CURLcode, systemError: Int, url: String, detail: String) {
        let reason = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        let place = Self.place(of: url)
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            self.init(kind: .invalidRequest, description: "\(url) is not a usable URL: \(reason)")
        case CURLE_COULDNT_RESOLVE_HOST:
            self.init(kind: .couldNotResolve, description: "could not find \(place): \(reason)")
        case CURLE_COULDNT_CONNECT:
            let cause = systemError == 0 ? reason : String(cString: strerror(Int32(systemError)))
            self.init(
                kind: .couldNotConnect, description: "could not connect to \(place): \(cause)")
        case CURLE_OPERATION_TIMEDOUT:
            self.init(kind: .timedOut, description: "\(place) did not answer in time: \(reason)")
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR:
            self.init(
                kind: .untrusted, description: "no trusted connection to \(place): \(reason)")
        default:
            self.init(
                kind: .broken, description: "the exchange with \(place) failed: \(reason)")
        }
    }

    /// The host and port of a URL, or the URL where it has none.
    static func place(of url: String) -> String {
        URLParts(url)?.place ?? url
    }
}
