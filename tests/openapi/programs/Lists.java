import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.PredictionsApi;
import org.openapitools.client.model.RecommendRequest;
import org.openapitools.client.model.SimilarRequest;

/** Request lists of items with the Java client of openapi-generator. Argument: URL. */
public final class Lists {
  public static void main(String[] arguments) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    PredictionsApi api = new PredictionsApi(client);
    RecommendRequest request = new RecommendRequest().user(1L).recommend(2L).addSeenItem("Alien");
    SimilarRequest item = new SimilarRequest().title("Alien").similar(2L);
    Map<String, Object> answers = Map.of("recommended", api.recommend(request), "similar", api.similar(item));
    client.getObjectMapper().writeValue(System.out, answers);
  }
}
