package fastmar.front;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;

/** The key of one API, compared in a time that does not depend on how much of a guess is right. */
final class Keys {
    private static final String SCHEME = "Bearer ";
    private final byte[] expected;

    /** null for an API that needs no key. */
    Keys(String key) {
        expected = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
    }

    /** Whether an Authorization header, which may be null, opens the API. */
    boolean admit(String header) {
        if (expected == null) {
            return true;
        }
        if (header == null || !header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            return false;
        }
        byte[] given = header.substring(SCHEME.length()).strip().getBytes(StandardCharsets.UTF_8);
        return MessageDigest.isEqual(given, expected);
    }
}
