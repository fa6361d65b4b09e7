import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.PredictionsApi;
import org.openapitools.client.model.InputRecord;
import org.openapitools.client.model.RecordList;

/** Send requests with the Java client of openapi-generator. Arguments: URL, file of a record. */
public final class Ask {
  public static void main(String[] arguments) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    PredictionsApi api = new PredictionsApi(client);
    ObjectMapper mapper = client.getObjectMapper();
    InputRecord record = mapper.readValue(new File(arguments[1]), InputRecord.class);
    RecordList list = new RecordList().addInstancesItem(record).addInstancesItem(record);
    Map<String, Object> answers = Map.of("one", api.predict(record), "many", api.predictMany(list));
    mapper.writeValue(System.out, answers);
  }
}
